"""Chapter 1's references, against torch's own layers, scikit-learn, and identities."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from sklearn.decomposition import PCA
from torch import nn

from course_utils import autoencoders as ae
from course_utils.data import batches
from course_utils.training import seeded, train


@given(st.integers(1, 40), st.integers(1, 7), st.integers(1, 4), st.integers(0, 3))
def test_conv_out_size_is_that_of_torch(size, kernel, stride, padding):
    if kernel > size + 2 * padding:
        with pytest.raises(ValueError, match="the kernel must fit"):
            ae.conv_out_size(size, kernel, stride, padding)
        return
    layer = nn.Conv1d(1, 1, kernel, stride, padding, device="meta")
    assert (
        ae.conv_out_size(size, kernel, stride, padding)
        == layer(torch.empty(1, 1, size, device="meta")).shape[2]
    )


@given(st.integers(1, 20), st.integers(1, 7), st.integers(1, 4), st.integers(0, 3), st.integers(0, 3))
def test_conv_transpose_out_size_is_that_of_torch(size, kernel, stride, padding, extra):
    arguments = (size, kernel, stride, padding, extra)
    if extra >= stride or (size - 1) * stride - 2 * padding + kernel + extra < 1:
        with pytest.raises(ValueError, match=r"smaller than the stride|cuts everything away"):
            ae.conv_transpose_out_size(*arguments)
        return
    layer = nn.ConvTranspose1d(1, 1, kernel, stride, padding, extra, device="meta")
    assert ae.conv_transpose_out_size(*arguments) == layer(torch.empty(1, 1, size, device="meta")).shape[2]


@pytest.mark.parametrize("value", [2.0, True, "2", None])
def test_sizes_are_ints(value):
    with pytest.raises(TypeError, match="stride must be an int"):
        ae.conv_out_size(8, 3, value, 1)
    with pytest.raises(TypeError, match="padding must be an int"):
        ae.conv_transpose_out_size(8, 3, 2, value, 0)


def test_conv_ae_maps_shapes_and_ranges():
    model = ae.ConvAE(latent_dim=5)
    x = torch.rand(3, 1, 32, 32, generator=torch.Generator().manual_seed(0))
    z = model.encode(x)
    x_hat = model(x)
    assert z.shape == (3, 5)
    assert x_hat.shape == x.shape
    assert x_hat.min() > 0
    assert x_hat.max() < 1
    assert torch.equal(x_hat, model.decode(z))


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (
            lambda m: m.encode(torch.rand(2, 1, 28, 28)),
            ValueError,
            r"x must be \(B, 1, 32, 32\), got \(2, 1, 28, 28\)",
        ),
        (lambda m: m.encode(torch.zeros(2, 1, 32, 32, dtype=torch.uint8)), TypeError, "floating-point"),
        (lambda m: m.decode(torch.rand(2, 5)), ValueError, r"z must be \(B, 4\), got \(2, 5\)"),
        (lambda m: m.decode(torch.rand(4)), ValueError, r"z must be \(B, 4\)"),
        (lambda _: ae.ConvAE(0), ValueError, "latent_dim must be at least 1"),
    ],
)
def test_conv_ae_refuses(call, error, message):
    with pytest.raises(error, match=message):
        call(ae.ConvAE(4))


def test_train_step_is_gradient_descent_on_the_mean_squared_error():
    model = nn.Linear(3, 3, dtype=torch.float64)
    x = torch.rand(5, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    before = model.weight.detach().clone()
    difference = (model(x) - x).detach()
    loss = ae.train_step(model, x, torch.optim.SGD(model.parameters(), lr=0.1))
    assert loss == pytest.approx(difference.square().mean().item(), abs=1e-12)
    gradient = 2 * difference.T @ x / x.numel()  # by hand
    assert torch.allclose(model.weight, before - 0.1 * gradient, atol=1e-12)


@pytest.mark.parametrize("step", [ae.train_step, ae.train_step_bce])
def test_a_few_images_are_learned_by_heart(step):
    x = (torch.rand(4, 1, 32, 32, generator=torch.Generator().manual_seed(0)) > 0.9).float()
    with seeded(0):
        model = ae.he_init(ae.ConvAE(8))
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
    losses = [
        r.loss
        for r in train(lambda b: step(model, b, optimizer), batches(x, 4, generator=torch.Generator()), 150)
    ]
    assert losses[-1] < 0.2 * losses[0]


def test_train_step_refuses_a_model_that_changes_the_shape():
    model = nn.Linear(3, 1)
    with pytest.raises(ValueError, match=r"train_step: shapes must be equal, got x_hat \(5, 1\), x \(5, 3\)"):
        ae.train_step(model, torch.rand(5, 3), torch.optim.SGD(model.parameters(), lr=0.1))


def test_he_init_keeps_the_signal_where_the_default_loses_it():
    x = torch.rand(16, 1, 32, 32, generator=torch.Generator().manual_seed(0))
    with seeded(0):
        model = ae.ConvAE(8)
        default = model(x).std(dim=0).mean()
        careful = ae.he_init(model)(x).std(dim=0).mean()
    assert careful > 20 * default


def test_reconstruction_error_averages_to_torchs_mse():
    a, b = torch.rand(2, 6, 1, 5, 4, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    errors = ae.reconstruction_error(a, b)
    assert errors.shape == (6,)
    assert torch.allclose(errors.mean(), nn.functional.mse_loss(a, b), atol=1e-12)
    assert torch.allclose(errors[2], nn.functional.mse_loss(a[2], b[2]), atol=1e-12)


@pytest.mark.parametrize(
    ("shapes", "message"),
    [(((2, 1, 4, 4), (2, 4, 4)), "shapes must be equal"), (((4,), (4,)), "needs a batch dimension")],
)
def test_reconstruction_error_refuses(shapes, message):
    with pytest.raises(ValueError, match=message):
        ae.reconstruction_error(*(torch.rand(shape) for shape in shapes))


@given(st.lists(st.integers(0, 6), min_size=1, max_size=30), st.integers(0, 20))
def test_anomaly_threshold_is_the_smallest_score_that_keeps_the_promise(scores, twentieths):
    rate = twentieths / 20
    threshold = ae.anomaly_threshold(torch.tensor(scores, dtype=torch.float64), rate)
    assert threshold in scores
    n = len(scores)
    assert 20 * sum(score > threshold for score in scores) <= twentieths * n
    smaller = [score for score in scores if score < threshold]
    assert not smaller or 20 * sum(score > max(smaller) for score in scores) > twentieths * n


@pytest.mark.parametrize(
    ("scores", "rate", "message"),
    [
        ([], 0.1, "at least one number"),
        ([1.0, torch.nan], 0.1, "no NaN"),
        ([1.0], 1.5, "a share from 0 to 1"),
        ([[1.0]], 0.1, r"1 dimensions \(N,\)"),
    ],
)
def test_anomaly_threshold_refuses(scores, rate, message):
    with pytest.raises(ValueError, match=message):
        ae.anomaly_threshold(torch.tensor(scores), rate)


@given(n=st.integers(2, 12), d=st.integers(1, 9), seed=st.integers(0, 99), data=st.data())
def test_pca_reconstruct_is_that_of_scikit_learn(n, d, seed, data):
    k = data.draw(st.integers(0, min(n, d)))
    x = torch.randn(n, d, dtype=torch.float64, generator=torch.Generator().manual_seed(seed)) + 3
    ours = ae.pca_reconstruct(x, k)
    peer = PCA(n_components=k).fit(x.numpy())
    theirs = peer.inverse_transform(peer.transform(x.numpy())) if k else np.broadcast_to(peer.mean_, x.shape)
    assert torch.allclose(ours, torch.from_numpy(theirs.copy()), atol=1e-10)


@pytest.mark.parametrize(
    ("k", "message"), [(5, r"at most min\(N, D\) = 4, got 5"), (-1, "k must be at least 0")]
)
def test_pca_reconstruct_refuses(k, message):
    with pytest.raises(ValueError, match=message):
        ae.pca_reconstruct(torch.rand(6, 4), k)


def test_a_linear_autoencoder_finds_the_pca_subspace():
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(400, 6, generator=generator) * torch.tensor([4.0, 3.0, 1.0, 0.5, 0.5, 0.5])
    x = x @ torch.linalg.qr(torch.randn(6, 6, generator=generator)).Q
    with seeded(0):
        model = ae.LinearAE(6, 2)
    optimizer = torch.optim.Adam(model.parameters(), lr=2e-2)
    for _ in train(
        lambda batch: ae.train_step(model, batch, optimizer), batches(x, 400, generator=generator), 800
    ):
        pass
    _, axes = ae.principal_axes(x, 2)
    basis = torch.linalg.qr(model.decoder.weight.detach()).Q
    assert torch.linalg.svdvals(basis.T @ axes.T).min() > 0.999


def test_latent_grid_runs_over_its_extent():
    grid = ae.latent_grid((-1, 3, 10, 20), side=5).view(5, 5, 2)
    assert grid[0, 0].tolist() == [-1, 10]
    assert grid[0, -1].tolist() == [3, 10]
    assert grid[-1, 0].tolist() == [-1, 20]
    assert grid[2, 1].tolist() == [0, 15]


def test_nearest_code_distance_of_a_code_is_zero():
    codes = torch.tensor([[0.0, 0.0], [3.0, 4.0]])
    assert ae.nearest_code_distance(torch.tensor([[3.0, 4.0], [0.0, 1.0], [6.0, 8.0]]), codes).tolist() == [
        0,
        1,
        5,
    ]
