"""From text to image, from image to image, and inpainting, in the notation of course_utils.stable_diffusion.

    timesteps        (n,) int64, descending   levels to visit, see course_utils.stable_diffusion.scheduler
    alphas_cumprod   (T,) float               share of the signal's variance left after step t
    mask             (B, 1, H, W) 0 or 1      1 = generate, 0 = keep; for latents (B, 1, h, w)
    strength         float in 0..1            how much of an image is drawn anew
    unet             unet(latents, t, context) -> noise_pred

Nothing here draws: eps and noise are arguments. Sampling yields states in latents; decode shows them.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import torch
import torch.nn.functional as F
from torch import Tensor

from course_utils.diffusion.forward import q_sample
from course_utils.diffusion.guidance import guided_noise
from course_utils.diffusion.samplers import Correction, SampleStep, ddim
from course_utils.stable_diffusion.autoencoder_kl import AutoencoderKL, sample_latents
from course_utils.stable_diffusion.scheduler import Scheduler
from course_utils.stable_diffusion.text_encoder import TextEncoder, Tokenizer
from course_utils.vae import interpolate
from course_utils.validation import require_float_tensor, require_same_shape

Denoiser: TypeAlias = Callable[[Tensor, Tensor, Tensor], Tensor]
Prompts: TypeAlias = Sequence[str] | Tensor  # text, or its states (B, L, D)


def guided_prediction(
    unet: Denoiser, latents: Tensor, t: Tensor, cond: Tensor, uncond: Tensor, scale: float
) -> Tensor:
    """The noise, pushed from what the network says without text towards, and beyond, what it says with it.

    One call on the joined batch, the half without text first.

    Args:
        unet: see the module.
        latents: (B, C, h, w) float.
        t: (B,) int64.
        cond, uncond: (B, L, D) float; uncond is of the empty or of a negative prompt.
        scale: see course_utils.diffusion.guidance.guided_noise.

    Returns:
        like latents.

    Raises:
        ValueError: cond and uncond differ in shape, or are not as many as latents.
    """
    require_same_shape("guided_prediction", cond=cond, uncond=uncond)
    require_same_shape("guided_prediction", one_a_latent=latents[:, 0, 0, 0], t=t, one_a_text=cond[:, 0, 0])
    joined = unet(torch.cat([latents, latents]), torch.cat([t, t]), torch.cat([uncond, cond]))
    noise_uncond, noise_cond = joined.chunk(2)
    return guided_noise(noise_uncond, noise_cond, scale)


def text_to_latents(
    unet: Denoiser,
    latents: Tensor,
    cond: Tensor,
    uncond: Tensor,
    timesteps: Tensor,
    alphas_cumprod: Tensor,
    scale: float,
) -> Tensor:
    """Guided DDIM (eta = 0) from noise along timesteps, and then to abar = 1.

    Args:
        unet, cond, uncond, scale: see guided_prediction.
        latents: (B, C, h, w) standard normal.
        timesteps, alphas_cumprod: see the module.

    Returns:
        like latents: clean, without a computation graph.
    """

    def model(x_t: Tensor, t: Tensor) -> Tensor:
        return guided_prediction(unet, x_t, t, cond, uncond, scale)

    *_, end = ddim(model, latents, timesteps, alphas_cumprod, eta=0.0, generator=None)
    return end.x_t


def img2img_start(
    latents: Tensor, noise: Tensor, strength: float, timesteps: Tensor, alphas_cumprod: Tensor
) -> tuple[Tensor, Tensor]:
    """Where sampling begins if it is to keep something of an image (Meng et al. 2022, arXiv:2108.01073).

    Args:
        latents: (B, C, h, w) float, the image's.
        noise: like latents.
        strength: 0..1, the share of timesteps that remain: min(int(n strength), n), but at least one.
        timesteps, alphas_cumprod: see the module.

    Returns:
        latents noised to the first of the remaining timesteps, and these, the last of timesteps.

    Raises:
        ValueError: strength is out of range.
        TypeError, ValueError: as q_sample.
    """
    if not 0 <= strength <= 1:
        raise ValueError(f"img2img_start: strength must lie in 0..1, got {strength}. Is it a percentage?")
    n = len(timesteps)
    remaining = timesteps[n - max(int(n * strength), 1) :]
    t = remaining[0].to(latents.device).expand(len(latents))
    return q_sample(latents, t, alphas_cumprod, noise), remaining


def inpaint_blend(
    x_t: Tensor, known_x0: Tensor, mask: Tensor, noise: Tensor, t: Tensor, alphas_cumprod: Tensor
) -> Tensor:
    """x_t where the mask is 1; where it is 0, what is known, noised to the same level.

    Args:
        x_t, known_x0, noise: (B, C, h, w) float.
        mask: (B, 1, h, w) float, 1 = generate.
        t: (B,) int64, the level of x_t.
        alphas_cumprod: (T,) float.

    Returns:
        like x_t.

    Raises:
        TypeError, ValueError: shapes do not fit, or as q_sample.
    """
    require_float_tensor("inpaint_blend", x_t=x_t, mask=mask)
    require_same_shape("inpaint_blend", x_t=x_t, known_x0=known_x0, noise=noise)
    require_same_shape("inpaint_blend", one_channel_of_x_t=x_t[:, :1], mask=mask)
    return mask * x_t + (1 - mask) * q_sample(known_x0, t, alphas_cumprod, noise)


@dataclass
class StableDiffusion:
    """The parts, and what can be done with them. Load it with course_utils.stable_diffusion.weights.

    Args:
        unet: a UNet, or what adapters make of it.
        notice: what a reader should know about how the folder was read; "" is nothing.
    """

    tokenizer: Tokenizer
    text_encoder: TextEncoder
    unet: Denoiser
    autoencoder: AutoencoderKL
    scheduler: Scheduler
    notice: str = ""

    @torch.no_grad()
    def context(self, prompts: Prompts) -> Tensor:
        """(B, L, D). States are returned as they are."""
        if isinstance(prompts, Tensor):
            return prompts
        device = self.text_encoder.tokens.weight.device
        states: Tensor = self.text_encoder(self.tokenizer(prompts).to(device))
        return states

    def between(self, first: str, second: str, steps: int) -> Tensor:
        """(steps, L, D): states on the straight line from one prompt to another, both included."""
        start, end = self.context([first, second])
        return interpolate(start.flatten(), end.flatten(), steps, "linear").unflatten(1, start.shape)

    @torch.no_grad()
    def decode(self, latents: Tensor) -> Tensor:
        """Images (B, 3, H, W), clamped to [-1, 1]."""
        return self.autoencoder.decode(latents).clamp(-1, 1)

    @torch.no_grad()
    def encode(self, images: Tensor, eps: Tensor) -> Tensor:
        """Latents (B, 4, h, w) of images in [-1, 1]; eps chooses among those that stand for an image."""
        return sample_latents(self.autoencoder.encode(images), eps, self.autoencoder.config.scaling_factor)

    def text_to_image(
        self, prompts: Prompts, noise: Tensor, *, steps: int = 20, scale: float = 7.5, negative: str = ""
    ) -> Iterator[SampleStep]:
        """Images from text alone.

        Args:
            prompts: B of them.
            noise: (B, 4, h, w) standard normal.
            steps: levels to visit.
            scale: of guidance.
            negative: what to steer away from.

        Yields:
            states in latents; the last one's x_t is the sample.
        """
        return self._sample(prompts, noise, self.scheduler.timesteps(steps), scale, negative)

    def image_to_image(
        self,
        prompts: Prompts,
        images: Tensor,
        eps: Tensor,
        noise: Tensor,
        *,
        strength: float = 0.8,
        steps: int = 20,
        scale: float = 7.5,
        negative: str = "",
    ) -> Iterator[SampleStep]:
        """Images drawn anew after others. Arguments as text_to_image, encode and img2img_start."""
        timesteps, table = self.scheduler.timesteps(steps), self.scheduler.alphas_cumprod
        start, remaining = img2img_start(self.encode(images, eps), noise, strength, timesteps, table)
        return self._sample(prompts, start, remaining, scale, negative)

    def inpaint(
        self,
        prompts: Prompts,
        images: Tensor,
        mask: Tensor,
        eps: Tensor,
        noise: Tensor,
        *,
        strength: float = 1.0,
        steps: int = 20,
        scale: float = 7.5,
        negative: str = "",
    ) -> Iterator[SampleStep]:
        """Images of which a part is drawn anew, after each step put back into what is known.

        Args:
            mask: see the module; of each f x f pixels that share a latent the first one decides.
            strength: as img2img_start; 1 begins with nothing but noise.

        Other arguments as image_to_image.
        """
        require_same_shape("inpaint", one_channel_of_images=images[:, :1], mask=mask)
        timesteps, table = self.scheduler.timesteps(steps), self.scheduler.alphas_cumprod
        known = self.encode(images, eps)
        start, remaining = img2img_start(known, noise, strength, timesteps, table)
        small = F.interpolate(mask, size=known.shape[2:])

        def put_back(x_t: Tensor, level: int) -> Tensor:
            if level == self.scheduler.last:
                return small * x_t + (1 - small) * known
            t = torch.full((len(x_t),), level, device=x_t.device)
            return inpaint_blend(x_t, known, small, noise, t, table)

        return self._sample(prompts, noise if strength == 1 else start, remaining, scale, negative, put_back)

    def _sample(
        self,
        prompts: Prompts,
        start: Tensor,
        timesteps: Tensor,
        scale: float,
        negative: str,
        correct: Correction | None = None,
    ) -> Iterator[SampleStep]:
        cond, uncond = self.context(prompts), self.context([negative])
        uncond = uncond.expand_as(cond)

        def model(x_t: Tensor, t: Tensor) -> Tensor:
            if scale == 1:
                return self.unet(x_t, t, cond)
            return guided_prediction(self.unet, x_t, t, cond, uncond, scale)

        return self.scheduler.sample(model, start, timesteps, correct)
