"""Attacks by what an answer gives back, raises, prints, and by how its source is written."""

from collections.abc import Iterator

from .hostile import GRADED, NOT_GRADABLE, REPAIRED, SECRET, Attacks, Expected, Hostile, Yard
from .release import Release

AGREEABLE = """
class Agreeable:
    def __eq__(self, other): return True
    def __ne__(self, other): return False
    def __array__(self, *args, **kwargs): return __import__("numpy").zeros(1)
    def __getattr__(self, name): return self
    def __call__(self, *args, **kwargs): return self
    def __iter__(self): return iter([self])
    def __len__(self): return 1
    def __float__(self): return 0.0
    def __bool__(self): return True
    def __sub__(self, other): return self
    @classmethod
    def __torch_function__(cls, *args, **kwargs): return True
    __hash__ = None
"""
BODIES = {
    "agreeable": AGREEABLE + "return Agreeable()",
    "agreeable-tensor": """
        import torch
        class Derived(torch.Tensor):
            @classmethod
            def __torch_function__(cls, *args, **kwargs): return torch.tensor(True)
        return torch.zeros(3).as_subclass(Derived)
    """,
    "claims-to-be-a-tensor": """
        import torch
        class Lie:
            __class__ = torch.Tensor
            shape, dtype, device = torch.Size([1]), torch.float32, torch.device("cpu")
        return Lie()
    """,
    "not-a-number": "return args[0] * float('nan')",
    "infinite": "import torch\nreturn torch.full((1,), torch.inf)",
    "on-no-device": "return args[0].to('meta')",
    "sparse": "return args[0].to_sparse()",
    "huge-view": "import torch\nreturn torch.zeros(1).expand(10**12)",
    "many-numbers": "import torch\nreturn torch.zeros(19_000_000)",
    "laughs": "a = [0.0] * 1000\nb = [a] * 1000\nreturn [b] * 1000",
    "contains-itself": "a = []\na.append(a)\nreturn a",
    "long-words": "return 'x' * 10**8",
    "huge-number": "return 10**10_000",
    "script-in-an-error": "raise ValueError('<script>alert(1)</script><img src=x onerror=alert(1)>')",
    "script-in-a-type": "raise type('<script>alert(1)</script>', (Exception,), {})('x' * 10**6)",
    "half-a-letter-in-an-error": "raise ValueError('\\ud83d \\x00 \\x1b[31m \\u202e')",
    "error-without-words": """
        class Silent(Exception):
            def __str__(self): raise SystemExit
            __repr__ = __str__
        raise Silent
    """,
    "interrupts": "raise KeyboardInterrupt",
    "says-it-is-a-stub": "raise NotImplementedError",
    "environment-in-an-error": "raise ValueError(' '.join(f'{k}={v}' for k, v in os.environ.items())[-250:])",
    "secret-in-an-error": f"""
        found = [k for k, v in os.environ.items() if {SECRET!r} in v]
        raise ValueError(os.environ[found[0]] if found else "nothing")
    """,
    "seed-in-the-environment": """
        from course_utils.exercises.engine import draw_cases, find, seed_number
        seed = os.environ.get("COURSE_GRADE_SEED")
        if seed:
            breach("the seed can be read")
    """,
}
FORGED = {  # replies of the process that runs the answer, where student's code has taken it over
    "kind-with-a-null": "({'kind': 'a\\0b'}, [])",
    "kind-with-half-a-letter": "({'kind': 'value', 'type': '\\ud83d'}, [])",
    "kind-of-a-dictionary": "({'kind': {'callable': 1}}, [])",
    "rubbish": "({'kind': 'callable'}, [b'rubbish' * 1000] * cases)",
    "nothing-follows": "({'kind': 'callable'}, [])",
    "too-much": "({'kind': 'callable'}, [b'x' * 100_000_000])",
    "points": "({'kind': 'callable', 'score': 100.0, 'passed': True, 'criteria': []}, [])",
    "everything-at-once": "({'kind': 'callable'}, [to_bytes(Observation('ok', {'result': True}))] * cases)",
    "strange-numbers": "({'kind': 'callable'}, [to_bytes(Observation('ok', {'result': STRANGE}))] * cases)",
}
FORGER = """
import sys, torch
from course_utils.exercises.spec import Observation
from course_utils.exercises.wire import to_bytes
STRANGE = torch.zeros(3).to(torch.float8_e5m2)
def forged(self, request, given):
    cases = len(given)
    return {reply}
for name, module in list(sys.modules.items()):
    if name.endswith("grading.child"):
        module.Interpreter.probe = forged
"""
SOURCES = {  # of the answer cell; each one fails, and nothing else does
    "minus-signs": "x = " + "-" * 200_000 + "1",
    "attributes": "x = y" + ".a" * 100_000,
    "sums": "x = " + "+".join(["1"] * 100_000),
    "brackets": "x = " + "[" * 5_000,
    "conditions": "x = " + "1 if 1 else " * 20_000 + "1",
    "null-byte": "x = 'a\0b'",
    "half-a-letter": "x = '\ud83d'",
    "await": "import asyncio\nawait asyncio.sleep(0)\nraise SystemExit",
    "twenty-megabytes": "x = 1  # " + "x" * 20_000_000,
    "future": "from __future__ import braces",
    "return": "return 100.0",
    "many-lines": "x = 1\n" * 300_000,
}

BOMBS = {  # small in the file, large once they are read
    "lists": b'{"cells": [' + b"[]," * 15_000_000 + b"[]]}",
    "cells-that-break-off": b'{"cells": [' + b"1," * 20_000_000,
    "digits": b'{"cells": [' + b"9" * 20_000_000 + b"]}",
}


def members(release: Release, yard: Yard) -> Iterator[Hostile]:
    """All of them."""
    attack = Attacks(release, yard, "judge")
    for name, body in BODIES.items():
        yield attack(f"judge-{name}", body=body)
    for name, reply in FORGED.items():
        yield attack(f"judge-forges-{name}", before=FORGER.replace("{reply}", reply))
    for name, source in SOURCES.items():
        honest = {release.first.cell: release.right[release.first.cell]}
        paper = release.paper({**honest, release.target.cell: source})
        yield attack.of_bytes(f"judge-source-{name}", paper.bytes())
    for name, content in BOMBS.items():
        expected = Expected(release.scores(), GRADED | REPAIRED | NOT_GRADABLE, None)
        yield Hostile(f"judge-bomb-{name}", "judge", release.file(content), expected)
    paper = release.paper({release.first.cell: release.right[release.first.cell]})
    script = "<script>document.title = 'x'</script><img src=x onerror=alert(1)>\n[x](javascript:alert(1))"
    paper.add(script, kind="markdown").add(f"%%html\n{script}").add(f"%%javascript\n{script}")
    paper.cells[-1]["outputs"] = [
        {"output_type": "display_data", "data": {"text/html": [script]}, "metadata": {}},
        {"output_type": "stream", "name": "stdout", "text": [script]},
    ]
    yield attack.of_bytes("judge-script-in-cells", paper.bytes())
