"""What costaudit says of a GPU beside what the GPU itself says: one table in nine minutes.

    python bench/gpu_check.py [--into DIR] [--seconds 540] [--only NAME …] [--rehearse] [--json]
    python bench/gpu_check.py --look     only whether there is such a GPU

Needs an NVIDIA GPU of Hopper or newer with torch, transformers, nvidia-ml-py and nvtx; nothing is
downloaded: the model has the shape of an 8B Llama and random weights. Each row is printed as soon
as it is known; a subject that fails, or takes longer than its part of the time, costs its own rows
only. Nsight Compute is asked where there is an `ncu` on the PATH. Raw results are kept in
bench/results/. Exit codes: 0 the table was printed, 1 a bar of it was missed, 5 no such GPU.
With --rehearse a tiny model runs on the CPU: it shows that the script works, and nothing of a GPU.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

sys.path.insert(0, str(Path(__file__).resolve().parent))

from gpu.rows import Row, Table

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from gpu.changes import Changes
    from gpu.recorded import Recorded

NO_GPU, MISSED = 5, 1
NINE_MINUTES_S = 540.0
RESULTS = Path(__file__).resolve().parent / "results"
OLDEST = (9, 0)  # compute capability of Hopper
# Parts of the whole time by subject, in their order; 0.04 are left for loading and for the end.
SHARES: Mapping[str, float] = {
    "recording": 0.19,
    "phases": 0.12,
    "bytes": 0.18,
    "step time": 0.09,
    "weights": 0.06,
    "KV cache": 0.02,
    "continuous-batching": 0.05,
    "cuda-graphs": 0.05,
    "orders": 0.06,
    "overhead": 0.06,
    "classics": 0.03,
    "quality": 0.03,
    "ramp": 0.02,
}
_RECORD_PART = 0.5  # of its time; the rest is for loading, and for compiling the what-if engine
_NCU_PART = 0.3  # of the time for bytes, for each of the two runs under ncu


def main() -> None:
    """Measure, print, keep; leaves with the documented code."""
    asked = _arguments()
    why = "" if asked.rehearse else _why_no_gpu()
    if why:
        print(f"gpu-check: {why}; nothing was measured", file=sys.stderr)
        sys.exit(NO_GPU)
    if asked.look:
        return
    table = Table(seconds=asked.seconds, tell=_silent if asked.json else _tell)
    with tempfile.TemporaryDirectory(prefix="gpu-check-") as made:
        subjects, recorded = _subjects(asked, Path(made))
        for name, share in SHARES.items():
            if not asked.only or name in asked.only:
                table.measure(name, share, subjects[name])
        spent_s = table.seconds - table.left_s
        table.keep(Row(what="the whole table", value=spent_s, unit="s", high=NINE_MINUTES_S))
        kept = _kept(asked, table, recorded)
    if asked.json:
        print(json.dumps(kept, indent=2))
    missed = any(row.verdict == "missed" for row in table.rows)
    sys.exit(MISSED if missed and not asked.rehearse else 0)


def _subjects(
    asked: argparse.Namespace, folder: Path
) -> tuple[Mapping[str, Callable[[], Iterable[Row]]], Recorded]:
    """What is measured, by the names of SHARES; later subjects start from earlier ones."""
    from gpu import orders, overhead, quality, ramp, steps, traffic  # noqa: PLC0415 - they need torch
    from gpu.bed import FULL, REHEARSED, Bed  # noqa: PLC0415
    from gpu.changes import Changes  # noqa: PLC0415
    from gpu.held_out import StepModel  # noqa: PLC0415
    from gpu.recorded import Recorded  # noqa: PLC0415

    bed = Bed(REHEARSED, folder, "cpu") if asked.rehearse else Bed(FULL, folder, "cuda")
    recorded, model = Recorded(bed, folder / "run.costaudit"), StepModel(bed)
    changes = Changes(bed, recorded, model)
    part = {name: share * asked.seconds for name, share in SHARES.items()}
    # A rehearsal times nothing that counts: it should be over soon.
    record_s = 2.0 if asked.rehearse else part["recording"] * _RECORD_PART
    return {
        "recording": lambda: recorded.rows(record_s),
        "phases": lambda: steps.phases(bed),
        "bytes": lambda: traffic.rows(bed, part["bytes"] * _NCU_PART),
        "step time": model.rows,
        "weights": changes.weights,
        "KV cache": changes.cache,
        "continuous-batching": lambda: changes.batches("continuous-batching"),
        "cuda-graphs": lambda: _graphs(changes),
        "orders": lambda: orders.rows(bed, recorded),
        "overhead": lambda: overhead.rows(bed),
        "classics": lambda: steps.classics(bed),
        "quality": lambda: quality.rows(bed),
        "ramp": lambda: ramp.rows(bed),
    }, recorded


def _graphs(changes: Changes) -> Iterable[Row]:
    """The last prediction, and what all of them come to."""
    if changes.bed.rehearsal:
        yield Row(what="cuda-graphs", value=None, why="a CPU launches no kernels")
    else:
        yield from changes.batches("cuda-graphs")
    yield from changes.summary()


def _why_no_gpu() -> str:
    try:
        import torch  # noqa: PLC0415 - told in a sentence where it is missing
        import transformers  # noqa: F401, PLC0415 - likewise
    except ImportError as err:
        return f"{err.name} is not installed"
    if not torch.cuda.is_available():
        return "torch sees no CUDA device"
    if torch.cuda.get_device_capability() < OLDEST:
        return f"{torch.cuda.get_device_name()} is older than Hopper and has no GPM"
    return ""


def _kept(asked: argparse.Namespace, table: Table, recorded: Recorded) -> dict[str, Any]:
    """The raw results, written as one small file named after the device and the day."""
    document = recorded.document
    device = document.get("device", {})
    found = {
        "measured_utc": datetime.now(UTC).isoformat(timespec="seconds"),
        "rehearsal": asked.rehearse,
        "seconds": round(table.seconds - table.left_s, 1),
        "seconds_by_subject": table.took_s,
        "device": device,
        "rows": [asdict(row) | {"verdict": row.verdict} for row in table.rows],
        "phases": document.get("phases", {}),
        "ramp": document.get("kv_cache", {}).get("ramp", []),
    }
    if not asked.rehearse or asked.into != RESULTS:
        name = "-".join(str(device.get("name") or "gpu").lower().split())
        asked.into.mkdir(parents=True, exist_ok=True)
        path = asked.into / f"gpu-check-{name}-{datetime.now(UTC):%Y%m%d}.json"
        path.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
        print(f"raw results: {path}", file=sys.stderr)
    return found


def _tell(row: Row) -> None:
    print(row.text, flush=True)


def _silent(_: Row) -> None:
    """With --json there is one document at the end."""


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--into", type=Path, default=RESULTS, help="folder of the raw results")
    parser.add_argument("--seconds", type=float, default=NINE_MINUTES_S, help="of all of it")
    parser.add_argument("--only", nargs="+", default=(), choices=tuple(SHARES), metavar="NAME",
                        help=f"some of: {', '.join(SHARES)}")  # fmt: skip
    parser.add_argument("--look", action="store_true", help="measure nothing: is there a GPU?")
    parser.add_argument("--rehearse", action="store_true", help="a tiny model, on the CPU")
    parser.add_argument("--json", action="store_true")
    return parser.parse_args()


if __name__ == "__main__":
    main()
