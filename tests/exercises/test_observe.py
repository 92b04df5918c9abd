"""What comes back from an answer becomes plain data, and what it should not have changed is found out."""

import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from course_utils.exercises.draw import Draw
from course_utils.exercises.engine import draw_cases, find
from course_utils.exercises.observe import UNLIMITED, Limits, admit, observe, observe_all
from course_utils.exercises.spec import Case, Foreign, ToyModel, ToyOptimizer
from course_utils.exercises.toys import materialise, toy_shapes

EXERCISE = find("autoencoders.reconstruction_error")
CONFIG = {"height": 2, "width": 3, "latent_dim": 2}
draw = Draw("observe")
WEIGHTS = {name: draw.normal(*shape) for name, shape in toy_shapes("tiny_autoencoder", CONFIG).items()}
MODEL = ToyModel("tiny_autoencoder", WEIGHTS, CONFIG, {"layers.1.bias": torch.ones(2)})
TOYS = Case("a model", {"model": MODEL, "optimizer": ToyOptimizer("sgd", 0.1), "sizes": [1, torch.ones(2)]})


@pytest.mark.parametrize("value", [None, True, 3, 2.5, "words", [1, (2.0, None)], ()], ids=repr)
def test_plain_values_stay_what_they_are(value: Any) -> None:
    assert admit(value) == value
    assert type(admit(value)) is type(value)


def test_tensors_are_detached_copies() -> None:
    x = torch.arange(6.0).view(2, 3).T.requires_grad_()
    plain = admit(x)
    assert isinstance(plain, Tensor)
    assert not plain.requires_grad and plain.is_contiguous()
    assert torch.equal(plain, x) and plain.data_ptr() != x.data_ptr()
    assert type(admit(nn.Parameter(torch.ones(2)))) is Tensor


def test_a_numpy_float_counts_as_the_float_that_it_is() -> None:
    assert type(admit(np.float64(2.5))) is float


@pytest.mark.parametrize(
    ("value", "words", "advice"),
    [
        (np.ones(2), "a numpy array", "torch.from_numpy"),
        (np.float32(1), "a numpy.float32", "float("),
        (torch.ones(2, device="meta"), "a tensor on meta", "device of the inputs"),
        (torch.eye(2).to_sparse(), "sparse", "dense"),
        (torch.zeros(1).expand(10**9), "1,000,000,000 numbers", "repeated"),
        (torch.ones(2).mean, "builtin_function_or_method", "brackets"),
        (len, "builtin_function_or_method", "brackets"),
        (lambda: 0, "a function", "brackets"),
        ((one for one in [0]), "a generator", "`yield`"),
        ({"a": 1}, "a dict", ""),
        (2**70, "an int", "64 bits"),
        ([0] * 10_000, "a list", ""),
        (type("T", (Tensor,), {})(), "a T, a class derived from torch.Tensor", "plain tensor"),
    ],
)
def test_other_values_become_words_with_advice(value: Any, words: str, advice: str) -> None:
    foreign = admit(value)
    assert isinstance(foreign, Foreign)
    assert words in foreign.words and advice in foreign.advice


def test_what_came_before_an_error_is_kept() -> None:
    def probe(answer: Any, case: Case) -> Iterator[tuple[str, Any]]:
        yield "first", 1
        yield "second", answer()

    seen = observe(replace(EXERCISE, probe=probe), lambda: 1 / 0, Case("none", {}))
    assert (seen.status, seen.values) == ("error", {"first": 1})
    assert seen.fault is not None and seen.fault.kind == "ZeroDivisionError"


def test_an_operation_that_torch_lacks_is_an_error_and_no_stub() -> None:
    def power(x_hat: Tensor, x: Tensor) -> Any:
        return x_hat ^ 2  # raises NotImplementedError

    case = draw_cases(EXERCISE, 0)[0]
    assert observe(EXERCISE, power, case).status == "error"


def test_every_case_gets_inputs_of_its_own() -> None:
    first, second = materialise(TOYS).inputs, materialise(TOYS).inputs
    with torch.no_grad():
        first["model"].layers[1].weight.zero_()
    first["sizes"][1].zero_()
    assert second["model"].layers[1].weight.any() and second["sizes"][1].all()
    assert MODEL.weights["layers.1.weight"].any()


def test_toy_models_have_the_weights_gradients_and_dtype_of_the_case() -> None:
    double = {name: weight.double() for name, weight in WEIGHTS.items()}
    model = materialise(Case("double", {"model": replace(MODEL, weights=double, gradients={})})).inputs[
        "model"
    ]
    assert all(torch.equal(p, double[name]) for name, p in model.named_parameters())
    model = materialise(TOYS).inputs["model"]
    assert {name for name, p in model.named_parameters() if p.grad is not None} == {"layers.1.bias"}


def test_toy_optimizers_update_the_model_that_they_name() -> None:
    inputs = materialise(TOYS).inputs
    inputs["optimizer"].step()
    torch.testing.assert_close(inputs["model"].layers[1].bias, WEIGHTS["layers.1.bias"] - 0.1)


def step(model: nn.Module, optimizer: torch.optim.Optimizer, sizes: list[Any]) -> int:
    optimizer.step()
    return 1


def clear(model: nn.Module, optimizer: torch.optim.Optimizer, sizes: list[Any]) -> int:
    model.zero_grad()
    return 1


def evaluate(model: nn.Module, optimizer: torch.optim.Optimizer, sizes: list[Any]) -> int:
    model.eval()
    return 1


def freeze(model: nn.Module, optimizer: torch.optim.Optimizer, sizes: list[Any]) -> int:
    model.requires_grad_(False)
    return 1


def take_apart(model: nn.Module, optimizer: torch.optim.Optimizer, sizes: list[Any]) -> int:
    training = model.training
    vars(model).clear()
    model.training = training
    return 1


def append(model: nn.Module, optimizer: torch.optim.Optimizer, sizes: list[Any]) -> int:
    sizes.append(0)
    return 1


def fill(model: nn.Module, optimizer: torch.optim.Optimizer, sizes: list[Any]) -> int:
    sizes[1].zero_()
    return 1


@pytest.mark.parametrize(
    ("answer", "changed"),
    [
        (step, "the input model"),
        (clear, "the input model"),
        (freeze, "the input model"),
        (take_apart, "the input model"),
        (evaluate, "the training mode of model"),
        (append, "the input sizes"),
        (fill, "the input sizes"),
    ],
)
def test_changed_inputs_are_found(answer: Callable[..., int], changed: str) -> None:
    assert observe(EXERCISE, answer, TOYS).changed == (changed,)


def test_inputs_that_may_change_do_but_never_their_mode() -> None:
    training = replace(EXERCISE, may_change=frozenset({"model"}))
    assert observe(training, step, TOYS).changed == ()
    assert observe(training, evaluate, TOYS).changed == ("the training mode of model",)


def test_after_a_timeout_the_other_cases_are_skipped() -> None:
    def spin(*arguments: Any) -> None:
        while True:
            pass

    statuses = [seen.status for seen in observe_all(EXERCISE, spin, [TOYS] * 3, Limits(seconds=0.05))]
    assert statuses == ["timeout", "skipped", "skipped"]


def test_the_time_is_for_all_cases_together() -> None:
    def slow(*arguments: Any) -> int:
        time.sleep(0.1)
        return 1

    statuses = [seen.status for seen in observe_all(EXERCISE, slow, [TOYS] * 10, Limits(seconds=0.3))]
    assert "timeout" in statuses
    assert statuses[-1] == "skipped"


def test_nothing_is_found_where_nothing_happens() -> None:
    seen = observe(EXERCISE, EXERCISE.load_reference(), draw_cases(EXERCISE, 1)[0], UNLIMITED)
    assert (seen.status, seen.fault, seen.printed_characters, seen.changed) == ("ok", None, 0, ())
