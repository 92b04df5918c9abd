"""The judges: shapes, tiny overfits, and what is said of a scene and what is not."""

from dataclasses import fields

import pytest
import torch
from torch import nn

from course_utils.classifier import DigitClassifier, SceneClassifier, scene_loss, train_step
from course_utils.data import load
from course_utils.data.scenes import DIGITS, GROUNDS, INKS, LAYOUTS, ONE, Scenes, draw_scenes, render
from course_utils.training import seeded


def test_features_and_logits_have_the_shapes_stated():
    model, x = DigitClassifier(), torch.rand(3, 1, 28, 28)
    assert model.features(x).shape == (3, 128)
    assert (model.features(x) >= 0).all()
    assert model(x).shape == (3, 10)


def test_it_learns_ten_images_by_heart():
    x = torch.rand(10, 1, 28, 28, generator=torch.Generator().manual_seed(0))
    labels = torch.arange(10)
    with seeded(0):
        model = DigitClassifier()
    optimizer = torch.optim.Adam(model.parameters(), lr=3e-3)
    losses = [train_step(model, x, labels, optimizer) for _ in range(150)]
    assert losses[-1] < losses[0] / 20
    assert (model(x).argmax(dim=1) == labels).all()


def test_the_loss_is_the_one_before_the_update():
    x, labels = torch.rand(4, 1, 28, 28), torch.arange(4)
    model = DigitClassifier()
    expected = torch.nn.functional.cross_entropy(model(x), labels).item()
    assert train_step(model, x, labels, torch.optim.SGD(model.parameters(), lr=0.1)) == expected


# --- scenes ---


def scenes(count, seed=0, **options):
    return draw_scenes(count, generator=torch.Generator().manual_seed(seed), inks=range(len(INKS)), **options)


def same(first, second):
    return all(
        torch.equal(getattr(first, field.name), getattr(second, field.name)) for field in fields(Scenes)
    )


class Saying(nn.Module):
    """A judge whose logits are given."""

    SIZES, read = SceneClassifier.SIZES, SceneClassifier.read

    def __init__(self, logits):
        super().__init__()
        self.logits = nn.Parameter(logits)

    def forward(self, images):
        return self.logits[: len(images)]


def parts(logits):
    """By name: the ground, the layout, and of each place digit and ink."""
    names = ("ground", "layout", "digit 0", "ink 0", "digit 1", "ink 1")
    return dict(zip(names, logits.split(SceneClassifier.SIZES, dim=1), strict=True))


def targets(said):
    columns = (
        said.grounds,
        said.layouts,
        said.digits[:, 0],
        said.inks[:, 0],
        said.digits[:, 1],
        said.inks[:, 1],
    )
    return dict(zip(parts(torch.zeros(1, sum(SceneClassifier.SIZES))), columns, strict=True))


def test_scene_logits_are_as_many_as_there_are_choices():
    model, images = SceneClassifier(), torch.rand(2, 3, 64, 64)
    assert model(images).shape == (2, len(GROUNDS) + len(LAYOUTS) + 2 * (len(DIGITS) + len(INKS)))
    assert model.features(images).shape == (2, 192)
    assert (model.features(images) >= 0).all()


def test_what_logits_say_is_read_back():
    """Of a lone digit whatever is said of a second is left aside."""
    asked = scenes(300)
    generator = torch.Generator().manual_seed(1)
    logits = torch.randn(300, sum(SceneClassifier.SIZES), generator=generator)
    for part, target in zip(parts(logits).values(), targets(asked).values(), strict=True):
        there = target >= 0
        part[there, target[there]] = 10  # parts are views
    read = Saying(logits).read(torch.zeros(300, 3, 64, 64))
    assert same(read, asked)
    assert (asked.layouts == ONE).any() and (asked.layouts != ONE).any()


def test_the_loss_is_the_nats_of_all_that_is_said():
    asked = scenes(40)
    logits = torch.randn(40, sum(SceneClassifier.SIZES), generator=torch.Generator().manual_seed(2))
    expected = 0.0
    for part, target in zip(parts(logits).values(), targets(asked).values(), strict=True):
        log_p = torch.distributions.Categorical(logits=part).log_prob(target.clamp(min=0))
        expected += log_p[target >= 0].sum().item()
    found = scene_loss(Saying(logits), torch.zeros(40, 3, 64, 64), asked)
    assert found.item() == pytest.approx(-expected / 40, rel=1e-5)


def test_of_a_lone_digit_nothing_about_a_second_is_learnt():
    asked = scenes(30, layout=ONE)
    model = Saying(torch.zeros(30, sum(SceneClassifier.SIZES)))
    scene_loss(model, torch.zeros(30, 3, 64, 64), asked).backward()
    slopes = parts(model.logits.grad)
    for name, slope in slopes.items():
        assert bool((slope != 0).any()) == (not name.endswith("1")), name


def test_the_judge_of_scenes_learns_them_by_heart_and_reads_them():
    asked = scenes(24)
    images = render(asked, load("mnist", "test"), generator=torch.Generator().manual_seed(1))
    with seeded(0):
        model = SceneClassifier()
    optimizer = torch.optim.Adam(model.parameters(), lr=3e-3)
    losses = []
    for _ in range(60):
        loss = scene_loss(model, images, asked)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < losses[0] / 20
    assert same(model.eval().read(images), asked)
