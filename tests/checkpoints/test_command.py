"""Progress of a training: rates count from where a run began, or was resumed."""

from course_utils.checkpoints import command
from course_utils.training import TrainStep


def test_a_resumed_run_shows_the_rate_of_what_it_did_itself(monkeypatch, capsys):
    clock = iter([100.0, 110.0])
    monkeypatch.setattr(command.time, "perf_counter", lambda: next(clock))
    progress = command.Progress(every=5.0)
    progress("mnist", TrainStep(2_001, 0.5), 3_000)
    progress("mnist", TrainStep(2_021, 0.25), 3_000)
    assert capsys.readouterr().err == "mnist  2,021/3,000  loss 0.2500  2 steps/s  490 s left\n"
