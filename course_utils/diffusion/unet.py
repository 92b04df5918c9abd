"""One network for all noise levels, in the notation of DDPM (Ho et al. 2020, arXiv:2006.11239).

    t                (B,) int64, 0..T-1             noise levels, see course_utils.diffusion.forward
    temb             (B, time_dim) float            what every block is told: the level, and the class if any
    x0, x_t          (B, C, H, W) float             x0 in [-1, 1]; x_t unbounded
    noise            like x_t                       standard normal; noise_pred is the network's guess of it
    labels           (B,) int64, 0..num_classes     num_classes is the null label: "no class given"
    alphas_cumprod   (T,) float                     share of the signal's variance left after step t

Blocks are called block(x, temb). What they add to x starts at 0, and so does the network's output.
"""

from collections.abc import Callable, Iterable, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from course_utils.diffusion.forward import q_sample
from course_utils.validation import require_dims, require_int, require_same_shape

GROUPS = 8  # in every GroupNorm
MAX_PERIOD = 10_000


def timestep_embedding(t: Tensor, dim: int, max_period: float) -> Tensor:
    """sin(t f_i), then cos(t f_i), with f_i = max_period^(-i / (dim/2)) for i = 0..dim/2 - 1.

    Args:
        t: (B,) numbers, NOT divided by T: the fastest wave moves from one level to the next.
        dim: int, even.
        max_period: > 0; the slowest wave takes almost 2 pi max_period levels.

    Returns:
        (B, dim) in [-1, 1]; float32, or the float dtype of t.
    """
    require_dims("timestep_embedding", 1, "(B,)", t=t)
    require_int("timestep_embedding", 2, dim=dim)
    if dim % 2 or not max_period > 0:
        raise ValueError(f"timestep_embedding: dim must be even, max_period > 0, got {dim}, {max_period}.")
    # In float64: a frequency that is off by a millionth moves an angle of 1,000 by a thousandth.
    exponents = -torch.arange(dim // 2, dtype=torch.float64, device=t.device) / (dim // 2)
    angles = t.double()[:, None] * float(max_period) ** exponents
    waves = torch.cat([angles.sin(), angles.cos()], dim=1)
    return waves.to(t.dtype if t.is_floating_point() else torch.float32)


class ResidualBlock(nn.Module):
    """x + f(x, temb), (B, in_channels, H, W) -> (B, out_channels, H, W), where channels are multiples of 8.

    The level enters as a scale and a shift of each channel, after the second norm.
    """

    def __init__(self, in_channels: int, out_channels: int, time_dim: int):
        super().__init__()
        self.norm1 = nn.GroupNorm(GROUPS, in_channels)
        self.conv1 = nn.Conv2d(in_channels, out_channels, kernel_size=3, padding=1)
        self.time = nn.Linear(time_dim, 2 * out_channels)
        self.norm2 = nn.GroupNorm(GROUPS, out_channels)
        self.conv2 = zeroed(nn.Conv2d(out_channels, out_channels, kernel_size=3, padding=1))
        self.skip = nn.Identity() if in_channels == out_channels else nn.Conv2d(in_channels, out_channels, 1)

    def forward(self, x: Tensor, temb: Tensor) -> Tensor:
        h = self.conv1(F.silu(self.norm1(x)))
        scale, shift = self.time(F.silu(temb))[:, :, None, None].chunk(2, dim=1)
        h = self.norm2(h) * (1 + scale) + shift
        return self.conv2(F.silu(h)) + self.skip(x)


class SelfAttention2d(nn.Module):
    """x + attention among the pixels of x, (B, C, H, W) -> the same (Vaswani et al. 2017, arXiv:1706.03762).

    Each head works on channels / heads consecutive channels; channels is a multiple of 8 and of heads.
    """

    def __init__(self, channels: int, heads: int):
        super().__init__()
        if channels % heads:
            raise ValueError(f"SelfAttention2d: heads must divide channels, got {heads} and {channels}.")
        self.heads = heads
        self.norm = nn.GroupNorm(GROUPS, channels)
        self.qkv = nn.Conv2d(channels, 3 * channels, kernel_size=1)
        self.out = zeroed(nn.Conv2d(channels, channels, kernel_size=1))

    def forward(self, x: Tensor) -> Tensor:
        b, c, h, w = x.shape
        qkv = self.qkv(self.norm(x)).reshape(b, 3, self.heads, c // self.heads, h * w)
        q, k, v = qkv.transpose(-1, -2).unbind(dim=1)  # (B, heads, H W, C / heads) each
        if x.device.type == "cpu":  # where the fused kernel's backward pass is slow in bf16 for so few pixels
            attended = (q @ k.transpose(-1, -2) / q.shape[-1] ** 0.5).softmax(dim=-1) @ v
        else:
            attended = F.scaled_dot_product_attention(q, k, v)
        return x + self.out(attended.transpose(-1, -2).reshape(b, c, h, w))


def unet_forward(x: Tensor, temb: Tensor, down: Iterable, middle: Callable, up: Iterable) -> Tensor:
    """Down, through the middle and up; each up block is given cat([x, skip]) along the channels.

    down and up have as many blocks (else ValueError); the skip is the output of the matching down block: last
    in, first out. The middle is one block.
    """
    skips = []
    for block in down:
        x = block(x, temb)
        skips.append(x)
    x = middle(x, temb)
    for block, skip in zip(up, reversed(skips), strict=True):
        x = block(torch.cat([x, skip], dim=1), temb)
    return x


class Stage(nn.Module):
    """[half resolution, for "down"] -> residual block -> [attention] -> [double resolution, for "up"]."""

    def __init__(self, in_channels: int, out_channels: int, time_dim: int, heads: int, resample: str = ""):
        super().__init__()
        self.residual = ResidualBlock(in_channels, out_channels, time_dim)
        self.attention = SelfAttention2d(out_channels, heads) if heads else nn.Identity()
        self.resample = resample

    def forward(self, x: Tensor, temb: Tensor) -> Tensor:
        x = F.avg_pool2d(x, 2) if self.resample == "down" else x
        x = self.attention(self.residual(x, temb))
        return F.interpolate(x, scale_factor=2.0) if self.resample == "up" else x


class UNet(nn.Module):
    """model(x_t, t) or model(x_t, t, labels) -> noise_pred.

    Args:
        image_channels: C of the images or latents.
        channels: multiples of 8, one a level; each level has half the resolution of the one before.
        blocks: per level, down and up.
        attention_levels: how many levels attend, from the lowest resolution, with `heads` heads each.
        num_classes: None or 0 is a network without classes.
    """

    def __init__(
        self,
        image_channels: int = 1,
        channels: Sequence[int] = (48, 96, 144),
        blocks: int = 1,
        attention_levels: int = 1,
        heads: int = 4,
        num_classes: int | None = None,
    ):
        super().__init__()
        self.levels, self.null_label = len(channels), num_classes or 0
        width, time_dim = channels[0], 4 * channels[0]
        self.time = nn.Sequential(nn.Linear(width, time_dim), nn.SiLU(), nn.Linear(time_dim, time_dim))
        self.classes = nn.Embedding(num_classes + 1, time_dim) if num_classes else None
        self.stem = nn.Conv2d(image_channels, width, kernel_size=3, padding=1)
        attends = [heads if level >= self.levels - attention_levels else 0 for level in range(self.levels)]
        plan = [(level, level > 0 and n == 0) for level in range(self.levels) for n in range(blocks)]
        self.down, self.up = nn.ModuleList(), nn.ModuleList()
        for level, halves in plan:
            out, resample = channels[level], "down" if halves else ""
            self.down.append(Stage(width, out, time_dim, attends[level], resample))
            width = out
        self.middle = Stage(width, width, time_dim, attends[-1])
        for level, doubles in reversed(plan):
            out, resample = channels[level], "up" if doubles else ""
            self.up.append(Stage(width + out, out, time_dim, attends[level], resample))
            width = out
        self.norm = nn.GroupNorm(GROUPS, width)
        self.out = zeroed(nn.Conv2d(width, image_channels, kernel_size=3, padding=1))

    def forward(self, x_t: Tensor, t: Tensor, labels: Tensor | None = None) -> Tensor:
        """Like x_t, unbounded; without labels every image has the null label. ValueError for wrong shapes."""
        c, side = self.stem.in_channels, 2 ** (self.levels - 1)
        if x_t.dim() != 4 or x_t.shape[1] != c or x_t.shape[2] % side or x_t.shape[3] % side:
            rule = f"x_t must be (B, {c}, H, W), H and W multiples of {side}"
            raise ValueError(f"UNet: {rule}, got {tuple(x_t.shape)}. Pad images of another size.")
        if labels is not None and not self.classes:
            raise ValueError("UNet: labels need a network with classes, got num_classes=None.")
        require_same_shape("UNet", one_an_image=x_t[:, 0, 0, 0], t=t, labels=t if labels is None else labels)
        temb = self.time(timestep_embedding(t, self.stem.out_channels, MAX_PERIOD).to(x_t.dtype))
        if self.classes:
            temb = temb + self.classes(torch.full_like(t, self.null_label) if labels is None else labels)
        h = unet_forward(self.stem(x_t), temb, self.down, self.middle, self.up)
        return self.out(F.silu(self.norm(h)))


class PlainUNet(nn.Module):
    """The residual U-Net in circulation that is never told t: the baseline to beat. Needs multiples of 4."""

    def __init__(self, image_channels: int = 1):
        super().__init__()
        self.down1 = PlainBlock(image_channels, 64)
        self.down2, self.down3 = PlainBlock(64, 128, stride=2), PlainBlock(128, 256, stride=2)
        self.middle = nn.Sequential(PlainBlock(256, 256), PlainBlock(256, 256))
        self.grow = nn.ModuleList([nn.ConvTranspose2d(256, 128, 2, 2), nn.ConvTranspose2d(128, 64, 2, 2)])
        self.up = nn.ModuleList([PlainBlock(256, 128), PlainBlock(128, 64)])
        self.out = nn.Conv2d(64, image_channels, kernel_size=1)

    def forward(self, x_t: Tensor, t: Tensor | None = None) -> Tensor:
        """Like x_t. The level t is taken, as UNet takes it, and ignored."""
        whole = self.down1(x_t)
        half = self.down2(whole)
        h = self.middle(self.down3(half))
        h = self.up[0](torch.cat([self.grow[0](h), half], dim=1))
        return self.out(self.up[1](torch.cat([self.grow[1](h), whole], dim=1)))


class PlainBlock(nn.Module):
    """relu(x + f(x)), with BatchNorm, at half the resolution where stride is 2."""

    def __init__(self, in_channels: int, out_channels: int, stride: int = 1):
        super().__init__()
        conv1 = nn.Conv2d(in_channels, out_channels, 3, stride, padding=1)
        conv2 = nn.Conv2d(out_channels, out_channels, 3, padding=1)
        norm1, norm2 = nn.BatchNorm2d(out_channels), nn.BatchNorm2d(out_channels)
        self.layers = nn.Sequential(conv1, norm1, nn.ReLU(), conv2, norm2)
        equal = in_channels == out_channels and stride == 1
        self.skip = nn.Identity() if equal else nn.Conv2d(in_channels, out_channels, 1, stride)

    def forward(self, x: Tensor) -> Tensor:
        return F.relu(self.layers(x) + self.skip(x))


def noise_prediction_loss(
    model: Callable[[Tensor, Tensor], Tensor], x0: Tensor, t: Tensor, noise: Tensor, alphas_cumprod: Tensor
) -> Tensor:
    """DDPM's simple loss (eq. 14), a scalar: the mean of (model(x_t, t) - noise)^2 over images and pixels."""
    noise_pred = model(q_sample(x0, t, alphas_cumprod, noise), t)
    require_same_shape("noise_prediction_loss", noise_pred=noise_pred, noise=noise)
    return F.mse_loss(noise_pred, noise)


@torch.no_grad()
def ema_update(ema_model: nn.Module, model: nn.Module, decay: float) -> None:
    """parameters of ema_model = decay * themselves + (1 - decay) * those of model, in place; buffers copied.

    It goes back over about 1 / (1 - decay) updates. ValueError: decay is not in 0..1, or the models differ.
    """
    if not 0 <= decay <= 1:
        raise ValueError(f"ema_update: decay must lie in 0..1, got {decay}. It is the weight of the average.")
    for average, parameter in zip(ema_model.parameters(), model.parameters(), strict=True):
        require_same_shape("ema_update", ema_model=average, model=parameter)
        average.lerp_(parameter, 1 - decay)
    for copy, buffer in zip(ema_model.buffers(), model.buffers(), strict=True):
        require_same_shape("ema_update", ema_model=copy, model=buffer)
        copy.copy_(buffer)


def zeroed(layer: nn.Conv2d) -> nn.Conv2d:
    """The layer, with all of its parameters at 0: what it adds starts at nothing."""
    for parameter in layer.parameters():
        nn.init.zeros_(parameter)
    return layer
