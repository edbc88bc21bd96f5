"""Whether plans are simulated in machine code here, and how to come by it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from costaudit.record.doctor import Check
from costaudit.recording.rows import State
from costaudit.whatif.schedule import nobody_in_records
from costaudit.whatif.scheduler import compiled

if TYPE_CHECKING:
    from collections.abc import Callable


def check_simulator() -> Check:
    """Is the scheduler compiled? Looked up, not loaded."""
    what = "simulator"
    if not compiled.available():
        return Check(
            what=what,
            state=State.ABSENT,
            detail="interpreted: there is no compiler, so plans over long traffic take minutes",
            would_help="pip install numba",
        )
    if not compiled.kept():
        return Check(
            what=what,
            state=State.OFF,
            detail="interpreted until it is compiled: a plan takes some seconds longer",
            would_help="costaudit doctor --compile, once for each installation",
        )
    return Check(what=what, state=State.OK, detail="compiled")


def compile_simulator(tell: Callable[[str], None]) -> None:
    """Compile the scheduler, where there is a compiler, and keep it for later processes.

    `tell` hears of it where there is something to do.
    """
    if compiled.available() and not compiled.kept():
        tell("compiling the simulator: once, some 15 s")
        compiled.compile_for(nobody_in_records())
        compiled.kept.cache_clear()
        if not compiled.kept():
            tell("it cannot be kept: XDG_CACHE_HOME may name a folder that can be written")
