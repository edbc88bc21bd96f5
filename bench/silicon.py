"""How well one tensor-parallel degree, precision or batch size is predicted from the others.

    python bench/silicon.py [TABLE.csv] [--json] [--constants FILE] [--alone]

TABLE.csv has the form of bench/data/silicon_serving.csv, the default. All runs of one degree (or
precision, or number of requests at once) of a model, device and engine are left out in turn and
predicted from the rest of them: by the calibrated model, by the product's own fit, and by the
uncalibrated roofline. Beside them stands what aiconfigurator predicts for the same runs. It knows
kernels that were measured, and no run of this serving stack; where it has no answer the reasons are
counted, and medians are compared over the runs that it can be asked for. The first run installs it
(0.9 GB) into an environment of its own; `--alone` leaves it out.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from collections import Counter
from dataclasses import replace
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Any

from serving.configurator import NotInstalledError, answers
from serving.kriging import fingerprint, learned_from, read_constants
from serving.leave_out import KINDS, Guess, guesses
from serving.table import read_table

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from serving.kriging import Constants
    from serving.table import Run

DATA = Path(__file__).parent / "data"
METHODS = ("calibrated", "product", "roofline")
RIVAL = "aiconfigurator"


def main(arguments: Sequence[str] | None = None) -> int:
    """Print the medians; 1 where the calibrated model is not better than aiconfigurator."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument(
        "table", type=Path, nargs="?", default=DATA / "silicon_serving.csv", metavar="TABLE.csv"
    )
    parser.add_argument("--json", action="store_true", help="print JSON")
    parser.add_argument("--constants", type=Path, default=DATA / "steptime_constants.json")
    parser.add_argument("--alone", action="store_true", help="do not ask aiconfigurator")
    asked = parser.parse_args(arguments)
    try:
        table = read_table(asked.table)
    except (OSError, UnicodeDecodeError) as error:
        parser.error(f"cannot read {asked.table}: {error}")
    runs = [run for group in table.groups.values() for run in group]
    if not runs:
        parser.error(f"{asked.table} holds no usable run")
    rival = {} if asked.alone else _rival(runs)
    found = measure(runs, read_constants(asked.constants), rival)
    found["learned_here"] = learned_from(asked.constants) == fingerprint(asked.table)
    print(json.dumps(found, indent=1) if asked.json else as_text(found))
    return 1 if found["missed"] else 0


def _rival(runs: Sequence[Run]) -> dict[int, float | str]:
    """What aiconfigurator answers, by the run's identity; nothing where it cannot be asked."""
    try:
        told = answers(runs)
    except (NotInstalledError, subprocess.SubprocessError) as err:
        print(f"aiconfigurator cannot be asked here: {err}", file=sys.stderr)
        return {}
    return {id(run): answer for run, answer in zip(runs, told, strict=True)}


def measure(
    runs: Sequence[Run], known: Constants, rival: Mapping[int, float | str]
) -> dict[str, Any]:
    """Median errors by kind: over all runs that were predicted, and over those both can answer."""
    kinds: dict[str, dict[str, Any]] = {}
    for kind in KINDS:
        every = [_beside(guess, rival) for guess in guesses(kind, runs, known)]
        common = [guess for guess in every if RIVAL in guess.seconds]
        kinds[kind.name] = {
            "runs": len(every),
            "p50_share": _medians(every, METHODS),
            "common_runs": len(common),
            "common_p50_share": _medians(common, (*METHODS, RIVAL)),
        }
    return {
        "runs": len(runs),
        "kinds": kinds,
        "no_answer": dict(
            Counter(_short(told) for told in rival.values() if isinstance(told, str)).most_common()
        ),
        "missed": [name for name, kind in kinds.items() if _missed(kind["common_p50_share"])],
    }


def _beside(guess: Guess, rival: Mapping[int, float | str]) -> Guess:
    told = rival.get(id(guess.run))
    if not isinstance(told, float):
        return guess
    return replace(guess, seconds={**guess.seconds, RIVAL: told})


def _medians(found: Sequence[Guess], methods: Sequence[str]) -> dict[str, float]:
    if not found:
        return {}
    return {method: median(guess.error_share(method) for guess in found) for method in methods}


def _missed(medians: Mapping[str, float]) -> bool:
    return bool(medians) and medians["calibrated"] >= medians[RIVAL]


def _short(reason: str) -> str:
    """A reason without the numbers of the single case."""
    kind, _, said = reason.partition(": ")
    return f"{kind}: {' '.join(said.split()[:9])}"


def as_text(found: dict[str, Any]) -> str:
    """The medians as a table for people."""
    lines = [f"{found['runs']} runs; median error of the time per output token", ""]
    columns = (*METHODS, RIVAL)
    lines.append(f"{'left out: one':34s}{'runs':>6s}" + "".join(f"{c:>16s}" for c in columns))
    for name, kind in found["kinds"].items():
        for label, count, medians in (
            (name, kind["runs"], kind["p50_share"]),
            ("  where aiconfigurator answers", kind["common_runs"], kind["common_p50_share"]),
        ):
            cells = [f"{medians[c]:.1%}" if c in medians else "-" for c in columns]
            lines.append(f"{label:34s}{count:>6d}" + "".join(f"{cell:>16s}" for cell in cells))
    if found["learned_here"]:
        lines += ["", "the calibrated model's constants were learned from this very table"]
    lines += ["", *(f"no answer: {n:5d}  {why}" for why, n in found["no_answer"].items())]
    lines += [f"not better than aiconfigurator: {name}" for name in found["missed"]]
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(main())
