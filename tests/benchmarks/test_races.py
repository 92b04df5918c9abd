"""Each race at its smallest, beside whoever is installed: it yields the rows that its table needs."""

import math

import pytest
import torch

from benchmarks import networks
from benchmarks.races import training_step
from benchmarks.setting import Setting


@pytest.fixture
def setting():
    said = []
    yield Setting(torch.device("cpu"), 1, "tiny", 0.002, lambda *words: said.append(words))
    assert said, "a race says how far it is"
    assert all(0 <= done <= total for done, total, _ in said)


def require_figures(rows):
    """Every row has a figure of ours, and a peer's with the ratio, or the reason why not."""
    for row in rows:
        assert row.ours is not None and math.isfinite(row.ours.value), row
        if row.peer and row.theirs:
            assert row.ratio.value > 0, row
        elif row.peer:
            assert row.note, row


def names(rows):
    return {row.name for row in rows}


def test_training_step(setting):
    rows = list(training_step.run(setting))
    require_figures(rows)
    ways = {"fp32", "bf16 autocast", "bf16 autocast, channels-last"}
    assert {row.peer for row in rows if row.name == "step, fp32"} == set(networks.DISTRIBUTIONS)
    assert {f"step, {way}" for way in ways} | {f"the peak, {way}" for way in ways} <= names(rows)
    assert f"{networks.OURS}: share of the peak, fp32" in names(rows)


def test_a_missing_peer_leaves_its_rows_with_the_reason(setting, monkeypatch):
    monkeypatch.setattr(networks, "absent", lambda peer: "It is not there." * (peer == networks.LUCIDRAINS))
    rows = [row for row in training_step.run(setting) if row.peer == networks.LUCIDRAINS]
    assert len(rows) == 3
    assert all(row.note == "It is not there." and row.ours and not row.theirs for row in rows)


def test_operations_are_counted_forward_and_backward(setting):
    setting.progress(0, 1, "counting")
    step = training_step.Step(training_step.Convolution(8, 4), training_step.WAYS[0], 2, setting)
    assert step.operations == 3 * 2 * (2 * 4 * 4) * 8 * 8 * 9
