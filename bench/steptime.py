"""How well few probes predict a serving engine's time per output token.

    python bench/steptime.py TABLE.csv [--json] [--seeds N] [--constants FILE]

TABLE.csv has the form of bench/data/silicon_serving.csv. In each group (model, device, engine,
precision) K random runs are probes, all others are predicted; errors are pooled over groups and
seeds. Beside the calibrated model stand the product's own fit (its form and prior, without what
other groups teach), plain non-negative least squares, and the uncalibrated roofline.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from serving.kriging import fingerprint, learned_from, read_constants
from serving.measure import PROBES, measure_groups, percentile, pooled
from serving.table import read_table

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from serving.kriging import Constants, Floats
    from serving.table import Run, Table

BARS = {6: 0.055, 12: 0.045}
CONSTANTS = Path(__file__).parent / "data" / "steptime_constants.json"


def main(arguments: Sequence[str] | None = None) -> int:
    """Print the errors; 1 where a bar is missed."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("table", type=Path, metavar="TABLE.csv")
    parser.add_argument("--json", action="store_true", help="print JSON")
    parser.add_argument("--seeds", type=int, default=8, help="random draws of probes (8)")
    parser.add_argument("--constants", type=Path, default=CONSTANTS, help="what was learned before")
    asked = parser.parse_args(arguments)
    try:
        table = read_table(asked.table)
    except (OSError, UnicodeDecodeError) as error:
        parser.error(f"cannot read {asked.table}: {error}")
    if not table.groups:
        why = "; ".join(f"{n} x {why}" for why, n in table.left_out.items()) or "it is empty"
        parser.error(f"{asked.table} holds no usable run: {why}")
    found = measure(table, read_constants(asked.constants), seeds=asked.seeds)
    found["learned_here"] = learned_from(asked.constants) == fingerprint(asked.table)
    if found["learned_here"]:
        stored = json.loads(asked.constants.read_text(encoding="utf-8"))
        found["held_out"] = stored.get("held_out", {})
    print(json.dumps(found, indent=1) if asked.json else as_text(found))
    return 1 if found["missed"] else 0


def measure(table: Table, known: Constants, *, seeds: int) -> dict[str, Any]:
    """Errors by number of probes, pooled and by group, and the bars that were missed."""
    errors = measure_groups(table.groups, known, seeds=seeds)
    methods = pooled(errors)
    calibrated = methods.get("calibrated", {})
    return {
        "rows": table.rows,
        "left_out": dict(table.left_out),
        "runs": sum(len(runs) for runs in table.groups.values()),
        "seeds": seeds,
        "methods": methods,
        "groups": {name: _group(table.groups[name], found) for name, found in errors.items()},
        "missed": [
            f"{probes} probes: {calibrated[str(probes)]['p50_share']:.1%} > {bar:.1%}"
            for probes, bar in BARS.items()
            if str(probes) in calibrated and calibrated[str(probes)]["p50_share"] > bar
        ],
    }


def _group(runs: Sequence[Run], errors: Mapping[str, Mapping[int, Floats]]) -> dict[str, Any]:
    medians = {str(count): percentile(e, 50) for count, e in errors["calibrated"].items()}
    return {"runs": len(runs), "p50_share": medians}


def as_text(found: dict[str, Any]) -> str:
    """The errors as a table for people."""
    lines = [f"{found['runs']} runs in {len(found['groups'])} groups, {found['seeds']} seeds"]
    if found["learned_here"]:
        lines += ["the constants were learned from this very table: the rows 'without' count"]
    lines += [f"left out: {n:5d}  {why}" for why, n in found["left_out"].items()]
    lines += ["", "median / p90 error of the time per output token, runs that are no probes"]
    lines += [f"{'probes':32s}" + "".join(f"{count:>15d}" for count in PROBES)]
    unseen = {f"without {fold}": errors for fold, errors in found.get("held_out", {}).items()}
    for method, by_probes in (found["methods"] | unseen).items():
        cells = [by_probes.get(str(count)) for count in PROBES]
        texts = [f"{c['p50_share']:.1%} / {c['p90_share']:.1%}" if c else "-" for c in cells]
        lines.append(f"{method:32s}" + "".join(f"{text:>15s}" for text in texts))
    lines += ["", "calibrated, median error by group"]
    for name, group in found["groups"].items():
        errors = [group["p50_share"].get(str(count)) for count in PROBES]
        texts = ["-" if e is None else f"{e:.1%}" for e in errors]
        lines.append(f"{name:52s}{group['runs']:4d}" + "".join(f"{t:>8s}" for t in texts))
    lines += ["", *(f"missed the bar: {miss}" for miss in found["missed"])]
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(main())
