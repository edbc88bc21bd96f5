"""Predicted and measured: changes of a model in this process, each recorded before it is made.

    python bench/predict_local.py [--model DIR] [--folder DIR] [--json]

The model is recorded as `generate` runs it, once in the dtype that runs fastest here and once in
bfloat16. From these recordings alone each change is predicted; then it is really made (the
continuous batching of transformers over its paged cache, a StaticCache, torch.ao's dynamic int8)
and measured in turns with the unchanged model. With --folder the recordings stay, and
`costaudit report` of either shows all trials on one page.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from dataclasses import dataclass
from pathlib import Path

from costaudit.audit.verified_section import run_section
from costaudit.record.options import DEMO_RUN, ProfileOptions, Progress
from costaudit.record.profile import record_profile
from costaudit.report.verified_rows import run_rows
from costaudit.verify.verify import VerifyOptions, verify


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """A step, and the dtype of the model that it is made to."""

    step: str
    dtype: str
    words: str


CHANGES = (
    Change(step="continuous-batching", dtype="auto", words="static to continuous batching"),
    Change(step="static-kv-cache", dtype="auto", words="dynamic to static cache"),
    Change(step="weight-quantization", dtype="bfloat16", words="bfloat16 to int8"),
)


def main() -> None:
    """Record, predict, change, measure; print the table or one JSON object."""
    asked = _arguments()
    with tempfile.TemporaryDirectory(prefix="predict-local-") as made:
        folder = asked.folder or Path(made)
        folder.mkdir(parents=True, exist_ok=True)
        runs: dict[str, Path] = {}
        found = []
        for change in CHANGES:
            if change.dtype not in runs:
                runs[change.dtype] = _recorded(asked, change.dtype, folder)
            options = VerifyOptions(
                run=runs[change.dtype],
                steps=(change.step,),
                target=asked.model,
                rounds=asked.rounds,
                seconds=asked.seconds,
            )
            verified = verify(options, progress=_silent)
            found.append({"change": change.words, **run_section(verified)})
            if not asked.json:
                _print(change, found[-1])
        if asked.json:
            print(json.dumps({"model": asked.model, "changes": found}, indent=2))


def _recorded(asked: argparse.Namespace, dtype: str, folder: Path) -> Path:
    options = ProfileOptions(
        target=asked.model,
        path=folder / f"before-{dtype}.costaudit",
        dtype=dtype,
        dummy_weights=asked.dummy_weights,
        time_budget_s=asked.seconds,
        batch_size=DEMO_RUN["batch_size"],
        scale=asked.scale or DEMO_RUN["scale"],
        requests=asked.requests,
    )
    if options.path.exists():
        return options.path
    return record_profile(options, progress=_silent)


def _print(change: Change, run: dict[str, object]) -> None:
    print(f"{change.words}: {run['how']}")
    for row in run_rows(run):
        print(f"  {row.metric:<20}{row.predicted:<20}{row.measured:<29}{row.verdict}")
        if row.why:
            print(f"    because {row.why}")
    print(flush=True)


def _silent(_: Progress) -> None:
    """A bench prints its table only."""


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", default="demo")
    parser.add_argument("--dummy-weights", action="store_true")
    parser.add_argument("--folder", type=Path)
    parser.add_argument("--requests", type=int, default=DEMO_RUN["requests"])
    parser.add_argument("--scale", type=float)
    parser.add_argument("--seconds", type=float, default=60.0, help="of each recording")
    parser.add_argument("--rounds", type=int, default=4)
    parser.add_argument("--json", action="store_true")
    return parser.parse_args()


if __name__ == "__main__":
    main()
