"""Loops as streams, and checkpoints that are whole or not there."""

import json
import os
from dataclasses import replace

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from course_utils import training
from course_utils.autoencoders import ConvAE
from course_utils.classifier import SceneClassifier
from course_utils.training import (
    Card,
    SampleSheet,
    TrainStep,
    in_batches,
    load_card,
    load_checkpoint,
    save_card,
    save_checkpoint,
    save_weights,
    seeded,
    train,
)

CARD = Card(
    architecture={"class": "ConvAE", "latent_dim": 3},
    data="none",
    objective="none",
    steps=0,
    batch_size=1,
    seed=0,
    device="cpu",
    seconds=0.0,
    quality={},
    command="course train autoencoders --only x",
)


def test_train_yields_after_each_update_and_stops_in_time():
    seen = []
    stream = train(lambda batch: seen.append(batch) or float(batch), iter(range(100)), steps=3)
    assert next(stream) == TrainStep(step=1, loss=0.0)
    assert seen == [0]
    assert list(stream) == [TrainStep(2, 1.0), TrainStep(3, 2.0)]


def test_seeded_repeats_and_leaves_the_global_stream_alone():
    before = torch.get_rng_state()
    weights = []
    for _ in range(2):
        with seeded(5):
            weights.append(torch.rand(4))
    assert torch.equal(*weights)
    assert torch.equal(torch.get_rng_state(), before)


def test_in_batches_is_the_function_without_gradients():
    x = torch.rand(11, 3, requires_grad=True)
    result = in_batches(lambda piece: piece.sum(dim=1), x, batch_size=4)
    assert torch.equal(result, x.detach().sum(dim=1))
    assert not result.requires_grad


def test_a_checkpoint_comes_back_as_it_was_saved(tmp_path):
    with seeded(0):
        model = ConvAE(3)
    save_checkpoint("chapter/name", model, CARD, tmp_path)
    loaded = load_checkpoint("chapter/name", tmp_path)
    assert not loaded.training
    for mine, theirs in zip(model.parameters(), loaded.parameters(), strict=True):
        assert torch.equal(mine.half().float(), theirs)
    assert load_card("chapter/name", tmp_path) == CARD
    assert sorted(path.name for path in (tmp_path / "chapter").iterdir()) == ["name.json", "name.safetensors"]


def test_an_interrupted_save_leaves_the_old_checkpoint(tmp_path, monkeypatch):
    path = save_checkpoint("name", ConvAE(3), CARD, tmp_path)
    old = path.read_bytes()

    def full_disk(_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full_disk)
    with pytest.raises(OSError, match="No space left"):
        save_checkpoint("name", ConvAE(3), CARD, tmp_path)
    assert path.read_bytes() == old
    assert sorted(p.name for p in tmp_path.iterdir()) == ["name.json", "name.safetensors"]


def test_weights_that_diverged_are_not_saved(tmp_path):
    model = ConvAE(3)
    with torch.no_grad():
        next(model.parameters())[0] = torch.nan
    with pytest.raises(ValueError, match=r"encoder\.0\.weight hold values that float16 cannot"):
        save_checkpoint("name", model, CARD, tmp_path)
    assert not list(tmp_path.iterdir())


def test_an_unknown_checkpoint_is_answered_by_those_there_are(tmp_path):
    save_checkpoint("a/one", ConvAE(3), CARD, tmp_path)
    with pytest.raises(FileNotFoundError, match=r"no checkpoint 'a/two' in .*only: a/one"):
        load_checkpoint("a/two", tmp_path)


def test_what_is_no_checkpoint_is_not_named_as_one(tmp_path):
    """Networks in another layout bear a config.json beside weights of another name."""
    save_checkpoint("a/one", ConvAE(3), CARD, tmp_path)
    save_card(tmp_path / "a" / "without-weights.json", CARD)
    for name in ("model_index.json", "unet/config.json", "unet/diffusion_pytorch_model.safetensors"):
        (tmp_path / "a" / name).parent.mkdir(exist_ok=True)
        (tmp_path / "a" / name).write_text("{}")
    with pytest.raises(FileNotFoundError, match=r"no checkpoint 'a/two' in .*, only: a/one\.$"):
        load_checkpoint("a/two", tmp_path)


def test_weights_alone_and_a_card_alone_make_a_checkpoint(tmp_path):
    with seeded(0):
        model = ConvAE(3)
    path = save_weights("chapter/name", model, tmp_path)
    assert [file.name for file in path.parent.iterdir()] == ["name.safetensors"]
    with pytest.raises(FileNotFoundError, match=r"no checkpoint 'chapter/name'"):
        load_checkpoint("chapter/name", tmp_path)
    save_card(tmp_path / "chapter" / "name.json", CARD)
    assert load_card("chapter/name", tmp_path) == CARD
    first, loaded = next(model.parameters()), load_checkpoint("chapter/name", tmp_path)
    assert torch.equal(next(loaded.parameters()), first.half().float())


def test_a_card_is_written_whole_or_not_at_all(tmp_path, monkeypatch):
    path = tmp_path / "new" / "name.json"
    save_card(path, CARD)
    monkeypatch.setattr(os, "fsync", lambda _: (_ for _ in ()).throw(OSError(28, "No space left on device")))
    with pytest.raises(OSError, match="No space left"):
        save_card(path, replace(CARD, steps=5))
    assert load_card("new/name", tmp_path) == CARD
    assert [file.name for file in path.parent.iterdir()] == ["name.json"]


def test_the_judge_of_scenes_is_stored_with_what_its_norms_have_seen(tmp_path):
    with seeded(0):
        model = SceneClassifier()
    images = torch.rand(4, 3, 64, 64, generator=torch.Generator().manual_seed(0)) * 2 - 1
    model(images)
    save_checkpoint("judge", model, replace(CARD, architecture={"class": "SceneClassifier"}), tmp_path)
    loaded = load_checkpoint("judge", tmp_path)
    with torch.no_grad():
        assert torch.allclose(loaded(images), model.eval()(images), rtol=0, atol=1e-2)
    assert not torch.equal(loaded.features[1].running_mean, torch.zeros(32))


@pytest.mark.parametrize("damage", ["truncated", "another architecture"])
def test_a_damaged_checkpoint_is_refused(tmp_path, damage):
    path = save_checkpoint("name", ConvAE(3), CARD, tmp_path)
    if damage == "truncated":
        path.write_bytes(path.read_bytes()[:-100])
    else:
        card = json.loads(path.with_suffix(".json").read_text())
        card["architecture"]["latent_dim"] = 4
        path.with_suffix(".json").write_text(json.dumps(card))
    with pytest.raises(ValueError, match=r"name\.safetensors is damaged.*Retrain: course train"):
        load_checkpoint("name", tmp_path)


def test_all_released_files_together_stay_small():
    assert sum(path.stat().st_size for path in training.FOLDER.rglob("*.safetensors")) <= 40e6


def images():
    """Two rows of three images."""
    generator = torch.Generator().manual_seed(0)
    return {row: torch.rand(3, 1, 5, 5, generator=generator) for row in ("everything", "a row, with a comma")}


def test_a_sheet_gives_back_each_row_under_its_name():
    drawn = images()
    sheet = SampleSheet.of(drawn)
    assert sheet.rows == tuple(drawn)
    assert sheet.images.shape == (2, 3, 1, 5, 5)
    for row, expected in drawn.items():
        assert torch.equal(sheet[row], expected)
    assert not list(sheet.parameters())


def test_a_sheet_is_stored_like_a_model(tmp_path):
    drawn = images()
    card = replace(CARD, architecture={"class": "SampleSheet", "rows": list(drawn), "count": 3, "size": 5})
    save_checkpoint("chapter/sheet", SampleSheet.of(drawn), card, tmp_path)
    loaded = load_checkpoint("chapter/sheet", tmp_path)
    assert loaded.rows == tuple(drawn)
    for row, expected in drawn.items():
        assert torch.equal(loaded[row], expected.half().float())


def test_a_sheet_does_not_change_with_the_images_that_it_was_made_of():
    drawn = images()
    sheet = SampleSheet.of(drawn)
    before = sheet["everything"].clone()
    drawn["everything"].zero_()
    assert torch.equal(sheet["everything"], before)


def test_a_row_that_is_not_there_is_answered_by_those_there_are():
    with pytest.raises(
        KeyError, match="SampleSheet: no row 'nothing', only: everything, a row, with a comma"
    ):
        SampleSheet.of(images())["nothing"]


SHAPES = st.lists(st.integers(1, 3), min_size=1, max_size=5).map(tuple)


@given(first=SHAPES, second=SHAPES)
def test_a_sheet_takes_rows_of_square_images_alike_in_shape(first, second):
    drawn = {"a": torch.zeros(first), "b": torch.zeros(second)}
    if first == second and len(first) == 4 and first[1] == 1 and first[2] == first[3]:
        assert SampleSheet.of(drawn)["b"].shape == second
    else:
        with pytest.raises(
            ValueError, match=r"^SampleSheet.of: every row must be \(count, 1, size, size\), got a"
        ):
            SampleSheet.of(drawn)


def test_a_sheet_without_rows_and_rows_that_are_no_floats_are_refused():
    with pytest.raises(ValueError, match=r"^SampleSheet.of: .* got no row"):
        SampleSheet.of({})
    with pytest.raises(
        TypeError, match=r"^SampleSheet.of: a must be a floating-point tensor, got a uint8 tensor"
    ):
        SampleSheet.of({"a": torch.zeros(2, 1, 3, 3, dtype=torch.uint8)})
