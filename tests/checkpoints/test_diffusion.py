"""The recipe of the diffusion models: a run that is killed goes on as if nothing had happened."""

import pytest
import torch

from course_utils.checkpoints.recipes import diffusion
from course_utils.data import load
from course_utils.diffusion.unet import UNet


@pytest.fixture(autouse=True)
def small(monkeypatch):
    """200 images, batches of 4, a small network."""

    def few(name, split, value_range=(0, 1), size=28):
        return load(name, "test", value_range=value_range, size=size).balanced(20)

    monkeypatch.setattr(diffusion, "load", few)
    monkeypatch.setattr(diffusion, "BATCH_SIZE", 4)
    monkeypatch.setattr(diffusion, "UNet", lambda num_classes: UNet(1, (8, 16), num_classes=num_classes))


def weights(run):
    return torch.cat([parameter.flatten() for parameter in run.average.parameters()])


def test_a_killed_run_goes_on_from_its_last_state_draw_for_draw(tmp_path, monkeypatch):
    monkeypatch.setattr(diffusion, "SAVE_EVERY", 0.0)
    whole = diffusion.Run(6, tmp_path / "whole.state")
    losses = [record.loss for record in whole.records()]
    killed = diffusion.Run(6, tmp_path / "killed.state")
    for record in killed.records():
        if record.step == 4:
            break
    resumed = diffusion.Run(6, tmp_path / "killed.state")
    assert resumed.done == 4
    assert [record.loss for record in resumed.records()] == losses[4:]
    assert torch.equal(weights(resumed), weights(whole))
    assert resumed.seconds > killed.seconds


def test_without_a_state_a_run_starts_from_the_same_first_weights(tmp_path):
    first, second = (diffusion.Run(2, tmp_path / name) for name in ("a", "b"))
    assert torch.equal(weights(first), weights(second))
    assert first.done == 0


def test_samples_are_digits_sized_and_in_the_range_of_the_classifier():
    model = UNet(1, (8, 16), num_classes=10).eval()
    images = diffusion.sample(model, torch.arange(3), scale=2.0)
    assert images.shape == (3, 1, 28, 28)
    assert images.min() >= 0 and images.max() <= 1
