"""What aiconfigurator predicts for the same runs: installed apart, asked once, answers kept."""

from __future__ import annotations

import hashlib
import json
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING, Any

from contest.install import make_venv
from parts.cache import NotInstalledError, Part, cache_folder, installed

if TYPE_CHECKING:
    from collections.abc import Sequence

    from parts.cache import Step

    from serving.table import Run

__all__ = ("NotInstalledError", "answers")

VERSION = "0.12.0"
ASKING = Path(__file__).with_name("ask_aiconfigurator.py")
ASKED = (
    *("model_path", "system", "backend", "isl", "osl", "batch_size", "tp_size", "pp_size"),
    *("attention_dp_size", "moe_tp_size", "moe_ep_size", "gemm_quant_mode", "moe_quant_mode"),
)
LIMIT_S = 1800.0


def answers(runs: Sequence[Run]) -> list[float | str]:
    """Seconds per output token of each run, or why it has no answer.

    Raises:
        NotInstalledError: it cannot be had here.
        subprocess.SubprocessError: it did not come to an end.
    """
    rows = [{name: run.row.get(name) or "" for name in ASKED} for run in runs]
    told = _kept(json.dumps(rows))
    return [value / 1e3 if isinstance(value, float) else value for value in told]


def _kept(question: str) -> list[Any]:
    """The answers to this very question, from the last time where it was asked before."""
    key = hashlib.sha256((question + VERSION + ASKING.read_text()).encode()).hexdigest()[:16]
    kept = cache_folder() / "answers" / f"aiconfigurator-{key}.json"
    if not kept.exists():
        program = installed(PART) / "bin/python"
        done = subprocess.run(  # noqa: S603 - the interpreter of its own environment
            [program, ASKING],
            input=question,
            capture_output=True,
            text=True,
            check=True,
            timeout=LIMIT_S,
        )
        kept.parent.mkdir(parents=True, exist_ok=True)
        kept.write_text(done.stdout)
    found: list[Any] = json.loads(kept.read_text())
    return found


def _install(folder: Path, step: Step) -> None:
    """0.9 GB, its measured kernels among them."""
    make_venv(folder, step, f"aiconfigurator=={VERSION}")


PART = Part(name="aiconfigurator", key=(VERSION,), build=_install)
