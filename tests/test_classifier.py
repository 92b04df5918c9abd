"""The judge: shapes, and a tiny overfit."""

import torch

from course_utils.classifier import DigitClassifier, train_step
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
