"""Weights find their place in a module by shape; what does not fit is said in words."""

from typing import Any

import pytest
import torch
from torch import Tensor, nn

from course_utils.autoencoders import ConvAE
from course_utils.exercises import grade
from course_utils.exercises.draw import Draw
from course_utils.exercises.layers import build, draw_layer, gradients, place, slots

CONV_AE = "autoencoders.ConvAE"
draw = Draw("layers")
WIDE = draw_layer(draw, "the wide layer", "Linear", 5, 3, fan_in=3)
NARROW = draw_layer(draw, "the narrow layer", "Linear", 2, 5, fan_in=5)


class OwnLinear(nn.Module):
    """A layer that torch does not know, with the same parameters."""

    def __init__(self, inputs: int, outputs: int):
        super().__init__()
        self.w = nn.Parameter(torch.zeros(outputs, inputs))
        self.b = nn.Parameter(torch.zeros(outputs))

    def forward(self, x: Tensor) -> Tensor:
        return x @ self.w.T + self.b


class Loose(nn.Module):
    """All parameters on one module, the last layer first."""

    def __init__(self) -> None:
        super().__init__()
        self.w2, self.b2 = nn.Parameter(torch.zeros(2, 5)), nn.Parameter(torch.zeros(2))
        self.w1, self.b1 = nn.Parameter(torch.zeros(5, 3)), nn.Parameter(torch.zeros(5))

    def forward(self, x: Tensor) -> Tensor:
        return (x @ self.w1.T + self.b1) @ self.w2.T + self.b2


MODULES = {
    "sequential": nn.Sequential(nn.Linear(3, 5), nn.Linear(5, 2)),
    "own layers": nn.Sequential(OwnLinear(3, 5), OwnLinear(5, 2)),
    "one module": Loose(),
}


@pytest.mark.parametrize("model", MODULES.values(), ids=MODULES)
def test_weights_are_placed_by_shape(model: nn.Module) -> None:
    placed, missing, extra = place([NARROW, WIDE], model)
    x = draw.normal(4, 3)
    want = nn.functional.linear(nn.functional.linear(x, *WIDE[2:]), *NARROW[2:])
    assert (missing, extra) == ([], [])
    assert placed.keys() == {"the wide layer", "the narrow layer"}
    torch.testing.assert_close(model(x), want)


def test_among_equal_shapes_the_kind_decides_and_then_the_order() -> None:
    kinds = nn.ModuleList([nn.ConvTranspose2d(4, 4, 3), nn.Conv2d(4, 4, 3), nn.Conv2d(4, 4, 3)])
    layers = [
        draw_layer(draw, role, kind, 4, 4, 3, 3, fan_in=36)
        for role, kind in (("first", "Conv2d"), ("second", "Conv2d"), ("up", "ConvTranspose2d"))
    ]
    placed, missing, extra = place(layers, kinds)
    assert (missing, extra) == ([], [])
    assert [placed[role].weight for role in ("up", "first", "second")] == [kind.weight for kind in kinds]
    for role, _, weight, bias in layers:
        assert torch.equal(placed[role].weight, weight)
        assert str(placed[role].bias) == str(nn.Parameter(bias))


def test_what_is_missing_and_what_is_too_many_is_said_in_words() -> None:
    model = nn.Sequential(nn.Linear(3, 5, bias=False), nn.BatchNorm1d(5), nn.Linear(5, 2))
    _, missing, extra = place([WIDE, NARROW], model)
    assert missing == ["the wide layer, Linear with weight (5, 3) and a bias"]
    assert extra == ["Linear with weight (5, 3) and no bias", "BatchNorm1d with weight (5,)"]


def test_a_layer_without_a_bias_is_one_slot() -> None:
    assert list(map(str, slots(nn.Conv2d(1, 2, 3, bias=False)))) == [
        "Conv2d with weight (2, 1, 3, 3) and no bias"
    ]


def test_gradients_are_named_by_role_and_zero_where_none_arrives() -> None:
    model = nn.Sequential(nn.Linear(3, 5), nn.Linear(5, 2))
    placed, _, _ = place([WIDE, NARROW], model)
    x = draw.normal(4, 3)
    found = dict(gradients(model[1](model[0](x).detach()), torch.ones(4, 2), placed))
    assert not found["gradient at the wide layer"].any()
    torch.testing.assert_close(found["gradient at the narrow layer"][0], model[0](x).detach().sum(0))
    unused = dict(gradients(torch.zeros(4, 2), torch.ones(4, 2), placed))
    assert unused.keys() == found.keys()


def test_building_a_module_does_not_move_the_global_random_stream() -> None:
    before = torch.get_rng_state()
    build(lambda: nn.Linear(3, 5))
    assert torch.equal(torch.get_rng_state(), before)


@pytest.mark.parametrize(
    ("answer", "error"),
    [(lambda: 3, TypeError), (nn.Linear(3, 5), TypeError), (lambda: None, NotImplementedError)],
)
def test_what_is_no_module_is_refused(answer: Any, error: type[Exception]) -> None:
    with pytest.raises(error):
        build(answer)


def test_a_wrong_layer_is_named_with_what_came_instead() -> None:
    def answer(latent_dim: int) -> nn.Module:
        model = ConvAE(latent_dim)
        model.encoder[2] = nn.Conv2d(32, 60, 3, 2, 1)
        return model

    message = grade(CONV_AE, answer).message
    assert (
        "Missing: the encoder's second convolution, Conv2d with weight (64, 32, 3, 3) and a bias." in message
    )
    assert "Too many: Conv2d with weight (60, 32, 3, 3)." in message


def test_parts_are_judged_one_by_one() -> None:
    class OnlyDecode(nn.Module):
        def __init__(self, latent_dim: int):
            super().__init__()
            self.model = ConvAE(latent_dim)

        def decode(self, z: Tensor) -> Tensor:
            return self.model.decode(z)

        def encode(self, x: Tensor) -> Tensor:
            raise NotImplementedError

    verdict = grade(CONV_AE, OnlyDecode)
    held = {result.name for result in verdict.criteria if result.held}
    assert held == {"layers", "decode"}
    assert verdict.score == 2 and verdict.attempted
    assert "Your encode(x) is not written yet" in verdict.message


def test_a_size_written_as_a_number_costs_one_criterion() -> None:
    verdict = grade(CONV_AE, lambda latent_dim: ConvAE(32))
    assert (verdict.score, verdict.points) == (7, 8)
    assert "latent_dim" in verdict.message
