"""Attacks that let the course answer: whoever calls its implementation has not written one."""

import base64
import io
from collections.abc import Iterator

import torch

from course_utils.exercises.engine import draw_cases, find, seed_number
from course_utils.exercises.observe import observe_all

from .hostile import Attacks, Hostile, Yard
from .release import Release

BODIES = {  # of the target's function
    "frames": """
        frame = sys._getframe()
        while frame is not None:
            for value in [*frame.f_locals.values(), *frame.f_globals.values()]:
                if type(value).__name__ == "Exercise" and value.id == ID:
                    return value.load_reference()(*args, **kwargs)
            frame = frame.f_back
    """,
    "sys-modules": """
        for name, module in list(sys.modules.items()):
            if name.startswith("course_utils") and ".exercises" not in name:
                answer = vars(module).get(NAME)
                if callable(answer):
                    return answer(*args, **kwargs)
    """,
    "every-module": """
        import importlib, pkgutil, course_utils
        for found in pkgutil.walk_packages(course_utils.__path__, "course_utils.", onerror=lambda name: None):
            if "exercises" in found.name or "widgets" in found.name:
                continue
            try:
                answer = vars(importlib.import_module(found.name)).get(NAME)
            except Exception:
                continue
            if callable(answer):
                return answer(*args, **kwargs)
    """,
    "garbage-collector": """
        import gc, types
        for value in gc.get_objects():
            if isinstance(value, types.FunctionType) and value.__name__ == NAME:
                if value.__module__.startswith("course_utils"):
                    return value(*args, **kwargs)
    """,
    "load-reference": """
        from course_utils.exercises.engine import find
        return find(ID).load_reference()(*args, **kwargs)
    """,
    "mine-or-reference": """
        from course_utils.exercises import mine_or_reference
        return mine_or_reference(ID, None)(*args, **kwargs)
    """,
    "accepted-others": """
        from course_utils.exercises.engine import find
        return find(ID).accepts[0](*args, **kwargs)
    """,
    "source-of-the-package": """
        import ast, course_utils
        folder = os.path.dirname(course_utils.__file__)
        for place, _, names in os.walk(folder):
            for name in names:
                text = ""
                if name.endswith(".py"):
                    text = open(os.path.join(place, name), errors="replace").read()
                if "exercises" not in place and f"def {NAME}(" in text:
                    space = {}
                    exec(compile(text, name, "exec"), space)
                    return space[NAME](*args, **kwargs)
    """,
    "compiled-files": """
        import glob, marshal, course_utils
        folder = os.path.dirname(course_utils.__file__)
        for path in glob.glob(folder + "/**/*.pyc", recursive=True):
            if "exercises" not in path:
                space = {"__name__": "course_utils.x"}
                try:
                    exec(marshal.loads(open(path, "rb").read()[16:]), space)
                except Exception:
                    continue
                if NAME in space:
                    return space[NAME](*args, **kwargs)
    """,
    "solutions-on-disk": """
        import json, glob
        here = os.getcwd()
        places = [ROOT, here, os.path.dirname(here), os.path.dirname(os.path.dirname(here))]
        for place in places:
            for path in glob.glob(place + "/**/*.ipynb", recursive=True):
                if "solutions" in path or "source" in path:
                    for cell in json.load(open(path))["cells"]:
                        if cell.get("id") == NAME:
                            breach("the solutions can be read")
    """,
    "inspect": """
        import importlib, inspect
        from course_utils.exercises.engine import find
        module, name = find(ID).reference.split(":")
        text = inspect.getsource(getattr(importlib.import_module(module), name))
        space = dict(vars(importlib.import_module(module)))
        exec(text, space)
        return space[name](*args, **kwargs)
    """,
    "loaded-anew": """
        import importlib.util
        from course_utils.exercises.engine import find
        module, name = find(ID).reference.split(":")
        spec = importlib.util.find_spec(module)
        fresh = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(fresh)
        return getattr(fresh, name)(*args, **kwargs)
    """,
    "without-the-path": """
        import importlib
        for name in [name for name in sys.modules if name.startswith("course_utils")]:
            del sys.modules[name]
        sys.meta_path[:] = [one for one in sys.meta_path if type(one).__module__.startswith("_frozen")
                            or isinstance(one, type)]
        sys.path.insert(0, ROOT)
        from course_utils.exercises.engine import find
        return find(ID).load_reference()(*args, **kwargs)
    """,
    "another-process": """
        import subprocess
        code = f"import sys; sys.path.insert(0, {ROOT!r}); from course_utils.exercises.engine import *; "
        code += f"one = find({ID!r}); print(one.load_reference()(*draw_cases(one, 1)[0].inputs.values()))"
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60,
                              env={"PATH": os.environ.get("PATH", "")})
        if "tensor" in done.stdout:
            breach("the reference can be run in another process")
    """,
}
# The reference, set right again: what it is off by can be measured on inputs with a known result.
CALIBRATED = """
import importlib
from course_utils.exercises.engine import find
import torch
module, name = find(ID).reference.split(":")
answer = getattr(importlib.import_module(module), name)
offset = {known}
return answer(*args, **kwargs) - offset
"""
NOTHING = "answer(*[torch.zeros_like(a) if a.is_floating_point() and a.dim() == 4 else a for a in args])"
KNOWN = {  # what the reference is off by: its result where everybody knows that it is 0
    "reconstruction_error": "answer(args[1], args[1])",
    **dict.fromkeys(("q_step", "q_sample", "velocity", "predict_x0"), NOTHING),
}


def members(release: Release, yard: Yard) -> Iterator[Hostile]:
    """All of them."""
    attack = Attacks(release, yard, "reference")
    module, name = find(release.target.id).reference.split(":")
    answer = f"from {module} import {name} as {release.target.cell}"
    yield attack("reference-imported", answer=answer, flagged=True)
    body = f"import {module} as mine\nreturn mine.{name}(*args, **kwargs)"
    yield attack("reference-imported-inside", body=body, flagged=True)
    body = f"return getattr(__import__({module!r}, fromlist=['x']), {name!r})(*args, **kwargs)"
    yield attack("reference-by-its-letters", body=body)
    for label, code in BODIES.items():
        yield attack(f"reference-{label}", body=code)
    yield attack("reference-released-names", body=f"return {release.chapter.topic}.{name}(*args, **kwargs)")
    if release.target.cell in KNOWN:
        body = CALIBRATED.replace("{known}", KNOWN[release.target.cell])
        yield attack("reference-calibrated", body=body)
    yield _memorised(release, attack)


def _memorised(release: Release, attack: Attacks) -> Hostile:
    """A table of right results for every seed that a student can guess."""
    student, exercise = "reference-memorised", find(release.target.id)
    table = {}
    guesses = [
        f"{release.name} {student}",
        student,
        release.name,
        f"{student} {release.name}",
        *map(str, range(4)),
    ]
    for guess in guesses:
        cases = draw_cases(exercise, seed_number(guess))
        for case, seen in zip(cases, observe_all(exercise, exercise.load_reference(), cases), strict=True):
            if "result" in seen.values:
                table[_key(list(case.inputs.values()))] = seen.values["result"]
    packed = io.BytesIO()
    torch.save(table, packed)
    body = f"""
        import base64, io, torch
        table = torch.load(io.BytesIO(base64.b64decode({base64.b64encode(packed.getvalue())!r})))
        key = " ".join(str(float(a.double().sum())) if torch.is_tensor(a) else str(a)
                       for a in [*args, *kwargs.values()])
        return table[key]
    """
    return attack(student, body=body)


def _key(inputs: list[object]) -> str:
    return " ".join(str(float(a.double().sum())) if torch.is_tensor(a) else str(a) for a in inputs)
