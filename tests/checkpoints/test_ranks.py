"""A training in two processes is the training in one: the same losses, the same weights, killed or not."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from course_utils import cli
from course_utils.checkpoints.recipes import CHAPTERS, ranks, resumable
from course_utils.checkpoints.recipes.tiny_sd.judge import JudgeRun

SCRIPT = Path(__file__).with_name("shared.py")
TORCHRUN = ("-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2")
NAMES = (
    "autoencoders-latent-4",
    "classifier-mnist",
    "denoising-conv-any",
    "denoising-squares",
    "vae-beta-4",
    "diffusion-mnist",
    "diffusion-colour",
    "tiny-sd-autoencoder",
    "tiny-sd-text-to-image",
    "tiny-sd-edges",
)


def launch(out: Path, *launcher: str) -> str:
    command = [sys.executable, *launcher, str(SCRIPT), str(out)]
    environment = os.environ | {"COURSE_PROFILE": "ci", "COURSE_THREADS": "1"}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=280, check=False)
    assert done.returncode == 0, done.stderr[-4000:]
    return done.stdout


@pytest.fixture(scope="module")
def alone(tmp_path_factory):
    out = tmp_path_factory.mktemp("alone")
    launch(out)
    return out / "0"


@pytest.fixture(scope="module")
def printed():
    """What the processes wrote to standard output, once `shared` has run."""
    return []


@pytest.fixture(scope="module")
def shared(tmp_path_factory, printed):
    """The folder in which each of two processes has one of its own."""
    out = tmp_path_factory.mktemp("shared")
    printed.append(launch(out, *TORCHRUN))
    return out


def flat(path):
    return torch.cat([value.flatten().double() for value in torch.load(path).values()])


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
def test_two_processes_have_the_losses_of_one(alone, shared, name):
    expected = torch.load(alone / f"{name}.losses.pt")
    assert len(expected) >= 4
    for rank in "01":
        assert torch.load(shared / rank / f"{name}.losses.pt") == pytest.approx(expected, rel=2e-3)


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
def test_two_processes_reach_the_weights_of_one_and_both_the_same(alone, shared, name):
    expected, found, other = (
        flat(folder / f"{name}.weights.pt") for folder in (alone, shared / "0", shared / "1")
    )
    assert torch.equal(found, other)
    # Four updates of Adam move weights by 1e-3; those whose gradient is but rounding go either way.
    assert (found - expected).abs().median() < 1e-6


@pytest.mark.slow
def test_a_shared_training_that_was_killed_goes_on(alone, shared):
    whole = torch.load(alone / "diffusion-mnist.losses.pt")
    for rank in "01":
        assert torch.load(shared / rank / "resumed.losses.pt") == pytest.approx(whole[2:], rel=2e-3)


@pytest.mark.slow
def test_the_first_process_alone_writes_and_says_what_each_does(shared, printed):
    (text,) = printed
    lines = [line for line in text.splitlines() if "diffusion/mnist.safetensors" in line]
    assert len(lines) == 2  # trained twice
    assert all("2 processes of " in line and "images/s each" in line for line in lines)
    assert not list((shared / "work").rglob("*.state"))


# --- what cannot be shared ---


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        (["gan", "--only", "ring"], "ring (two networks take turns, each with draws of its own)"),
        (
            ["dcgan", "--only", "cycle"],
            "cycle (two networks take turns, and BatchNorm looks at a whole",
        ),
        (
            ["diffusion"],
            "sampling (it trains nothing), ablation (one of its networks has BatchNorm",
        ),
        (["tiny-sd", "--only", "judge", "edges"], "judge (it has BatchNorm, which looks at a whole batch)"),
    ],
)
def test_what_cannot_be_shared_is_refused_in_one_sentence_by_the_first(words, reason, monkeypatch, capsys):
    monkeypatch.setenv("WORLD_SIZE", "2")
    for rank, spoken in (("0", True), ("1", False)):
        monkeypatch.setenv("RANK", rank)
        assert cli.main(["train", *words]) == 2
        said = capsys.readouterr().err
        assert (f"course train: several processes cannot share {reason}" in said) == spoken
        assert said.count("\n") == spoken


def test_every_recipe_says_which_of_its_models_cannot_be_shared():
    for recipes in CHAPTERS.values():
        assert set(recipes.ALONE) <= set(recipes.NAMES)


def test_the_reason_of_the_judge_is_true(tmp_path):
    network = JudgeRun(1, tmp_path / "a.state").model
    assert any(isinstance(layer, torch.nn.BatchNorm2d) for layer in network.modules())


# --- parts and means ---


@pytest.fixture
def second_of_two(monkeypatch):
    monkeypatch.setattr(ranks, "_count", lambda: 2)
    monkeypatch.setattr(ranks, "_rank", lambda: 1)


def test_parts_of_a_batch_follow_each_other(monkeypatch):
    monkeypatch.setattr(ranks, "_count", lambda: 3)
    parts = []
    for rank in range(3):
        monkeypatch.setattr(ranks, "_rank", lambda rank=rank: rank)
        parts += ranks.mine(list("abcdef"))
    assert parts == list("abcdef")


def test_a_batch_that_cannot_be_divided_is_refused(second_of_two):
    with pytest.raises(ValueError, match=r"^train: 2 processes cannot share a batch of 5 evenly\. Start"):
        ranks.mine(torch.zeros(5, 1))


def test_processes_that_found_different_states_are_told(tmp_path, monkeypatch):
    monkeypatch.setattr(resumable.ranks, "mean", lambda value: value + 1)
    with pytest.raises(ValueError, match=r"different states of .*a\.state: they must share one working fo"):
        JudgeRun(1, tmp_path / "a.state")


def test_one_process_alone_is_left_as_it_was():
    gradient = torch.ones(3)
    weight = torch.zeros(3, requires_grad=True)
    weight.grad = gradient
    ranks.average_gradients([weight])
    ranks.wait()
    assert weight.grad is gradient and gradient.equal(torch.ones(3))
    assert ranks.mean(2.5) == 2.5 and ranks.is_first() and ranks.launched() == 1
