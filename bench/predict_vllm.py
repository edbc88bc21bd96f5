"""Do predictions come true? What-ifs from a recording of a real vLLM beside what was measured then.

    python bench/predict_vllm.py CHANGES.toml [--folder DIR] [--runs N] [--json]

The list names models, traffics and configuration changes (`predicting/changes.py` has the form;
`changes/full.toml` and `changes/tiny.toml` are two of them). Each baseline is started and recorded
as `costaudit profile` does it; every change is predicted from that recording alone; then vLLM runs
with the change and the same traffic is measured. What was run is kept in the folder, so that a
second call only predicts and judges.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path

from predicting.changes import read_changes
from predicting.collect import Plan, collect
from predicting.judge import judge, misses, summary
from predicting.table import as_json, as_text

from costaudit.ground.errors import UsageError


def main() -> int:
    """Print predicted beside measured; 1 where a bar is missed, 2 where the list is wrong."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("changes", type=Path, help="the list, a TOML file")
    parser.add_argument("--folder", type=Path, help="where runs are kept (a temporary one)")
    parser.add_argument("--runs", type=int, default=3, help="measured runs of each traffic (3)")
    parser.add_argument("--only", default="", help="collect baselines whose name holds this")
    parser.add_argument("--json", action="store_true", help="print JSON")
    asked = parser.parse_args()
    folder = asked.folder or Path(tempfile.mkdtemp(prefix="costaudit-bench-predict-"))
    try:
        changes = read_changes(asked.changes, folder)
    except UsageError as why:
        print(f"{why.message}\n{why.hint}".rstrip(), file=sys.stderr)
        return 2
    plan = Plan(changes=changes, folder=folder, runs=asked.runs, tell=_told)
    collect(plan, only=asked.only)
    rows = judge(changes, folder)
    if not rows:
        print("nothing was measured", file=sys.stderr)
        return 1
    told = summary(rows)
    print(as_json(rows, told) if asked.json else as_text(rows, told))
    missed = misses(told)
    if not asked.json:
        print("\n".join(f"MISSED {why}" for why in missed) or "all bars are met")
        print(f"runs are kept in {folder}")
    return 1 if missed else 0


def _told(what: str) -> None:
    print(what, file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
