"""Guidance by one call on a joined batch, watched on a small network that remembers its texts.

unet           TinyTextUNet; refuses a t that is no (B,) int64, and batches that do not match
latents        (B, 2, 3, 4) float
t              (B,) int64, different levels
cond, uncond   (B, 2, 3) float
scale          float
"""

from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor

from course_utils.exercises.compare import STAGES, TYPE
from course_utils.exercises.criteria import SAME_DTYPE, agree, draws_nothing, leaves_alone, runs
from course_utils.exercises.draw import Draw
from course_utils.exercises.spec import Answer, Case, Exercise, misconceptions
from course_utils.exercises.stable_diffusion.common import LATENTS, TEXT, both_guesses, draw_unet, guided

ONE_CALL = "one call, the half without text first"


def cases(draw: Draw) -> list[Case]:
    """Weak guidance, strong guidance, a scale between 0 and 1; each image at a level of its own."""

    def case(b: int, scale: float) -> Case:
        timesteps = draw.integer(8, 9)
        t = draw.shuffled(torch.arange(timesteps))[:b]
        inputs = {
            "unet": draw_unet(draw, timesteps),
            "latents": draw.normal(b, *LATENTS),
            "t": t,
            "cond": draw.normal(b, *TEXT),
            "uncond": draw.normal(b, *TEXT),
            "scale": scale,
        }
        return Case(f"{b} latents, t = {t.tolist()}, scale {scale:.3g}", inputs)

    return [case(3, draw.real(2, 4)), case(2, draw.real(6, 9)), case(4, draw.real(0.3, 0.7))]


def probe(answer: Answer, case: Case) -> Iterator[tuple[str, Any]]:
    """The prediction, and the texts that the network was given."""
    unet: Any = case.inputs["unet"]
    yield "result", answer(*case.inputs.values())
    yield "texts in calls of unet", list(unet.contexts)


def two_calls(unet: Any, latents: Tensor, t: Tensor, cond: Tensor, uncond: Tensor, scale: float) -> Tensor:
    """Your prediction is right, by two calls. Asked for is one, on a batch of twice the size: on a GPU it
    takes little longer than one of your two. Look at how often you write unet(...)."""
    without, told = unet(latents, t, uncond), unet(latents, t, cond)
    return without + scale * (told - without)


def text_first(unet: Any, latents: Tensor, t: Tensor, cond: Tensor, uncond: Tensor, scale: float) -> Tensor:
    """Your prediction is right; the half with the text comes first in your batch. Others rely on the order:
    the chapter's attention maps read the last half. Look at how you join the texts."""
    told, without = both_guesses(unet, latents, t, uncond, cond)
    return without + scale * (told - without)


def halves_taken_for_each_other(
    unet: Any, latents: Tensor, t: Tensor, cond: Tensor, uncond: Tensor, scale: float
) -> Tensor:
    """You steer away from the text: the guess that you take for the one without text was told the text.
    Compare the order in which you join the texts with the order in which you take the result apart."""
    told, without = both_guesses(unet, latents, t, cond, uncond)
    return without + scale * (told - without)


def scale_of_the_paper(
    unet: Any, latents: Tensor, t: Tensor, cond: Tensor, uncond: Tensor, scale: float
) -> Tensor:
    """Your guidance is stronger by 1 than asked for: at scale 0 you return the guess with the text. That is
    the paper's w. The scale of this course is 1 where there is no guidance. Look at the guess that you start
    from."""
    without, told = both_guesses(unet, latents, t, cond, uncond)
    return told + scale * (told - without)


def difference_alone(
    unet: Any, latents: Tensor, t: Tensor, cond: Tensor, uncond: Tensor, scale: float
) -> Tensor:
    """You return the scaled difference of the guesses. It is the direction in which to go. Check what you
    return at scale 0: it should be the guess without text."""
    without, told = both_guesses(unet, latents, t, cond, uncond)
    return scale * (told - without)


def no_guidance(unet: Any, latents: Tensor, t: Tensor, cond: Tensor, uncond: Tensor, scale: float) -> Tensor:
    """You return the guess with the text, whatever the scale is. Look for the argument that you do not
    use."""
    return both_guesses(unet, latents, t, cond, uncond)[1]


def latents_interleaved(
    unet: Any, latents: Tensor, t: Tensor, cond: Tensor, uncond: Tensor, scale: float
) -> Tensor:
    """You repeat each of the latents on the spot, and then take halves: most latents meet the text or the
    half of another one. repeat_interleave gives a, a, b, b; joining a batch with itself gives a, b, a, b.
    Look at how you double latents and t."""
    doubled, levels = latents.repeat_interleave(2, dim=0), t.repeat_interleave(2)
    without, told = unet(doubled, levels, torch.cat([uncond, cond])).chunk(2)
    return without + scale * (told - without)


def clamps_the_noise(
    unet: Any, latents: Tensor, t: Tensor, cond: Tensor, uncond: Tensor, scale: float
) -> Tensor:
    """You clamp the result to [-1, 1], which is the range of images. Noise has none. Look at the last
    step."""
    return guided(unet, latents, t, cond, uncond, scale).clamp(-1, 1)


GUIDED_PREDICTION = Exercise(
    id="stable_diffusion.guided_prediction",
    title="Guidance by a text",
    signature="guided_prediction(unet, latents, t, cond, uncond, scale)",
    returns="like latents: the guess without text at scale 0, the guess with it at scale 1, beyond it above. "
    "One call unet(latents, t, context) on the joined batch, the half without text first",
    reference="course_utils.stable_diffusion.pipeline:guided_prediction",
    cases=cases,
    criteria=(
        runs(
            "Joined along the batch, latents, t and the texts have 2B entries each: every image comes twice, "
            "once with each text, at its own level."
        ),
        agree("type", 0, outputs="result", stages=TYPE, gate=True),
        agree("shape", 0, outputs="result", stages=STAGES[:2], gate=True),
        agree("dtype", 0, outputs="result", stages=STAGES[:3], gate=True, advice=SAME_DTYPE),
        draws_nothing(),
        agree(
            "values",
            1.5,
            outputs="result",
            gate=True,
            advice="Take the result of the call apart into two halves, and compare each with a call on that "
            "half alone. Does your guided_noise of chapter 8 pass its check?",
        ),
        agree(
            ONE_CALL,
            1,
            outputs="texts",
            advice="The network is called once, with all latents twice; torch.cat joins along the batch. The "
            "texts of the first half are those of uncond.",
        ),
        leaves_alone(0.5),
    ),
    misconceptions=misconceptions(
        two_calls,
        text_first,
        halves_taken_for_each_other,
        scale_of_the_paper,
        difference_alone,
        no_guidance,
        latents_interleaved,
        clamps_the_noise,
    ),
    probe=probe,
)
