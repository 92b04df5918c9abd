"""Loading, verification and ranges: right data, or one sentence that says what is wrong."""

import gzip
import lzma
import re
import shutil

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from course_utils.data import batches, files, images, load, rescale, to_float, to_uint8


@pytest.fixture(autouse=True)
def nothing_cached():
    """Each test reads the files that it prepared, and leaves no damaged copy in memory."""
    images._decode.cache_clear()
    yield
    images._decode.cache_clear()


@pytest.fixture(scope="module")
def pristine(tmp_path_factory):
    """A hub's data folder in torchvision's layout, one file plain, the others compressed."""
    raw = tmp_path_factory.mktemp("hub") / "MNIST" / "raw"
    raw.mkdir(parents=True)
    for file in files.MNIST.files.values():
        content = lzma.decompress((files.MNIST.packed / f"{file.name}.xz").read_bytes())
        if "t10k-images" in file.name:
            (raw / file.name).write_bytes(content)
        else:
            (raw / f"{file.name}.gz").write_bytes(gzip.compress(content, compresslevel=1))
    return raw.parent.parent


@pytest.fixture
def shared_folder(pristine, tmp_path, monkeypatch):
    folder = shutil.copytree(pristine, tmp_path / "hub")
    monkeypatch.setenv(files.ENVIRONMENT, str(folder))
    return folder


def test_all_seventy_thousand_digits():
    everything = load("mnist", "all")
    assert everything.images.shape == (70_000, 1, 28, 28)
    assert everything.images.dtype == torch.float32
    assert everything.labels.dtype == torch.int64
    assert (everything.images.min(), everything.images.max()) == (0, 1)
    assert set(everything.labels.tolist()) == set(range(10))
    train = load("mnist", "train")
    assert torch.equal(everything.images[:60_000], train.images)
    assert torch.equal(everything.labels[60_000:], load("mnist", "test").labels)


def test_torchvision_reads_the_same_images(shared_folder):
    torchvision = pytest.importorskip("torchvision.datasets")
    for file in (shared_folder / "MNIST" / "raw").glob("*.gz"):
        file.with_suffix("").write_bytes(gzip.decompress(file.read_bytes()))
    for split in ("train", "test"):
        theirs = torchvision.MNIST(str(shared_folder), train=split == "train")
        ours = load("mnist", split)
        assert torch.equal(to_uint8(ours.images, (0, 1))[:, 0], theirs.data)
        assert torch.equal(ours.labels, theirs.targets)


def test_the_shared_folder_comes_first(shared_folder):
    ours = load("mnist", "test")
    (shared_folder / "MNIST" / "raw" / "t10k-labels-idx1-ubyte.gz").unlink()
    images._decode.cache_clear()
    with pytest.raises(
        FileNotFoundError, match=r"MNIST/raw holds neither t10k-labels-idx1-ubyte nor .*27ae3e4e"
    ):
        load("mnist", "test")
    assert len(ours) == 10_000


def test_a_shared_folder_without_this_data_set_leaves_the_packed_one(tmp_path, monkeypatch):
    monkeypatch.setenv(files.ENVIRONMENT, str(tmp_path))
    assert len(load("mnist", "test")) == 10_000


def test_a_missing_shared_folder_is_named(tmp_path, monkeypatch):
    monkeypatch.setenv(files.ENVIRONMENT, str(tmp_path / "gone"))
    with pytest.raises(FileNotFoundError, match=re.escape(str(tmp_path / "gone"))):
        load("mnist", "test")


@pytest.mark.parametrize("damage", ["one bit", "truncated", "no archive"])
def test_damaged_files_are_refused(shared_folder, damage):
    path = shared_folder / "MNIST" / "raw" / "t10k-labels-idx1-ubyte.gz"
    content = path.read_bytes()
    if damage == "one bit":
        labels = bytearray(gzip.decompress(content))
        labels[100] ^= 1
        path.write_bytes(gzip.compress(labels))
    else:
        path.write_bytes(content[: len(content) // 2] if damage == "truncated" else b"an error page")
    with pytest.raises(
        files.CorruptDataError, match=r"t10k-labels-idx1-ubyte\.gz in .*raw.*27ae3e4e09519cfbb04c329615203637"
    ):
        load("mnist", "test")


def test_a_damaged_packed_file_is_refused(tmp_path, monkeypatch):
    packed = shutil.copytree(files.MNIST.packed, tmp_path / "mnist")
    path = packed / "t10k-images-idx3-ubyte.xz"
    path.write_bytes(path.read_bytes()[:-1000])
    damaged = files.Source("MNIST", packed, files.MNIST.files)
    monkeypatch.setitem(images.SOURCES, "mnist", damaged)
    with pytest.raises(files.CorruptDataError, match="does not decompress"):
        load("mnist", "test")


def test_padding_adds_a_frame_of_paper_in_the_asked_range():
    small, large = (
        load("mnist", "test", value_range=(-1, 1)),
        load("mnist", "test", value_range=(-1, 1), size=33),
    )
    assert torch.equal(large.images[:, :, 2:30, 2:30], small.images)
    assert (large.images.min(), large.images.max()) == (-1, 1)
    frame = torch.ones(33, 33, dtype=torch.bool)
    frame[2:30, 2:30] = False
    assert (large.images[:, 0, frame] == -1).all()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"name": "mnits"}, "Did you mean 'mnist'"),
        ({"name": "mnist", "split": "val"}, "split must be one of train, test, all, got 'val'"),
        ({"name": "mnist", "size": 16}, "size must be at least 28"),
        ({"name": "mnist", "value_range": (1, 0)}, "low < high"),
    ],
)
def test_wrong_arguments(arguments, message):
    with pytest.raises(ValueError, match=message):
        load(**arguments)


def test_selection_keeps_images_and_labels_together():
    digits = load("mnist", "test")
    sevens_and_ones = digits.of_class(7, 1)
    assert set(sevens_and_ones.labels.tolist()) == {1, 7}
    assert torch.equal(sevens_and_ones.images[0], digits.images[0])  # the first test image is a seven
    balanced = digits.balanced(3)
    assert balanced.labels.tolist() == [k for k in range(10) for _ in range(3)]


@given(n=st.integers(1, 20), size=st.integers(1, 8), seed=st.integers(0, 100))
def test_batches_hold_every_example_once_an_epoch(n, size, seed):
    stream = batches(torch.arange(n), size, generator=torch.Generator().manual_seed(seed))
    for _ in range(2):
        epoch = [next(stream) for _ in range(-(-n // size))]
        assert torch.cat(epoch).sort().values.tolist() == list(range(n))
        assert all(len(batch) == size for batch in epoch[:-1])


def test_batches_follow_their_generator():
    first, second = (
        batches(torch.arange(50), 7, generator=torch.Generator().manual_seed(3)) for _ in range(2)
    )
    assert all(torch.equal(next(first), next(second)) for _ in range(20))


@pytest.mark.parametrize(
    ("x", "size", "message"), [([], 4, "holds no example"), ([1.0], 0, "batch_size must be at least 1")]
)
def test_batches_refuse(x, size, message):
    with pytest.raises(ValueError, match=message):
        next(batches(torch.tensor(x), size, generator=torch.Generator()))


@given(low=st.floats(-5, 4), width=st.floats(0.1, 5))
def test_every_grey_value_survives_the_way_there_and_back(low, width):
    greys = torch.arange(256, dtype=torch.uint8)
    assert torch.equal(to_uint8(to_float(greys, (low, low + width)), (low, low + width)), greys)


def test_rescale_maps_ends_to_ends_and_does_not_clamp():
    x = torch.tensor([0.0, 0.5, 1.0, 2.0], dtype=torch.float64)
    assert rescale(x, (0, 1), (-1, 1)).tolist() == [-1, 0, 1, 3]
    assert torch.allclose(rescale(rescale(x, (0, 1), (-3, 7)), (-3, 7), (0, 1)), x, atol=1e-12)


def test_to_uint8_clamps_and_refuses_nan():
    assert to_uint8(torch.tensor([-9.0, 9.0]), (-1, 1)).tolist() == [0, 255]
    with pytest.raises(ValueError, match="1 of 2 values are NaN"):
        to_uint8(torch.tensor([0.0, torch.nan]), (0, 1))


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (
            lambda: to_float(torch.zeros(2), (0, 1)),
            "to_float: x must be a uint8 tensor, got a float32 tensor",
        ),
        (
            lambda: to_uint8(torch.zeros(2, dtype=torch.int64), (0, 1)),
            "to_uint8: x must be a floating-point tensor",
        ),
        (lambda: rescale("x", (0, 1), (0, 1)), "rescale: x must be a floating-point tensor, got str 'x'"),
    ],
)
def test_ranges_refuse_wrong_types(call, message):
    with pytest.raises(TypeError, match=message):
        call()
