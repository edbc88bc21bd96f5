"""The same scheduler in machine code.

Numba compiles a copy of every function of this room; the copies call each other, the originals
stay interpreted. What is compiled is kept on disk under the hash of its source and of what
compiles it, so that an edit or an upgrade is never answered from an older file. Compiling takes
some fifteen seconds the first time, and small windows are interpreted until they have cost as much
as loading the code would.
"""

from __future__ import annotations

import hashlib
import os
import sys
import types
from functools import cache
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from costaudit.whatif.scheduler import admission, blocks, gaps, log, loop, rows, seconds, static

if TYPE_CHECKING:
    from collections.abc import Callable

    from costaudit.whatif.scheduler.state import State

MODULES = (seconds, gaps, blocks, rows, log, admission, loop, static)


class Entry(NamedTuple):
    """What is called from outside."""

    serve: Callable[[State], None]
    serve_static: Callable[[State], None]
    advance: Callable[[State, float], None]
    enqueue: Callable[[State, int], None]


INTERPRETED = Entry(
    serve=loop.serve,
    serve_static=static.serve_static,
    advance=loop.advance,
    enqueue=loop.enqueue,
)


def available() -> bool:
    """Whether there is a compiler."""
    return find_spec("numba") is not None


@cache
def kept() -> bool:
    """Whether this installation had compiled this code before the process began."""
    return any(_folder().rglob("loop.serve*.nbc"))


def loaded() -> bool:
    """Whether this process has the compiled scheduler already."""
    return entry.cache_info().currsize > 0


@cache
def entry() -> Entry:
    """The compiled scheduler, from the disk where it was compiled before."""
    import numba

    names: dict[str, Any] = {"__name__": __name__, "__builtins__": __builtins__}
    for module in MODULES:
        constants = {k: v for k, v in vars(module).items() if k.isupper() or k == "math"}
        names.update(constants)
    functions = [
        function
        for module in MODULES
        for function in vars(module).values()
        if isinstance(function, types.FunctionType) and function.__module__ == module.__name__
    ]
    for function in functions:
        copy = types.FunctionType(function.__code__, names, function.__name__)
        inner = function.__name__ not in Entry._fields
        names[function.__name__] = numba.njit(
            copy, error_model="numpy", no_cpython_wrapper=inner, no_cfunc_wrapper=True
        )
    for name in Entry._fields:
        _keep(names[name])
    return Entry(**{name: names[name] for name in Entry._fields})


def compile_for(state: State) -> None:
    """Compile all that is called from outside, for states of this kind, and keep it on disk."""
    import numba

    kind = numba.typeof(state)
    further: dict[str, tuple[Any, ...]] = {"advance": (numba.float64,), "enqueue": (numba.int64,)}
    for name, function in entry()._asdict().items():
        function.compile((kind, *further.get(name, ())))


def _keep(dispatcher: Any) -> None:
    """Let the code of an entry point be kept on disk; without a place for it, do without."""
    import numba

    before = numba.config.CACHE_DIR
    numba.config.CACHE_DIR = str(_folder())
    try:
        dispatcher.enable_caching()
    except (RuntimeError, OSError):  # no place that can be written to
        return
    finally:
        numba.config.CACHE_DIR = before


@cache
def _folder() -> Path:
    room = Path(__file__).parent
    digest = hashlib.sha256(f"{room} {sys.version} {version('numba')}".encode())
    for path in sorted(room.glob("*.py")):
        digest.update(path.read_bytes())
    home = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return home / "costaudit" / "scheduler" / digest.hexdigest()[:16]
