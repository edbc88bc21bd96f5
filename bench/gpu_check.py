"""What costaudit says of a GPU beside what the GPU itself says: one table in nine minutes.

    python bench/gpu_check.py [--into DIR] [--seconds 540] [--rehearse] [--json]

Needs an NVIDIA GPU of Hopper or newer with torch, transformers, nvidia-ml-py and nvtx; nothing is
downloaded: the model has the shape of an 8B Llama and random weights. Raw results are kept in
bench/results/. Exit codes: 0 the table was printed, 1 a bar of it was missed, 5 no such GPU.
With --rehearse the demo runs on the CPU: it shows that the script works, and nothing of a GPU.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from contextlib import closing
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

sys.path.insert(0, str(Path(__file__).resolve().parent))

from gpu import changes, gemms, steps
from gpu.rows import Row, Table

from costaudit.audit.sections import measured_sections
from costaudit.audit.situation import AuditOptions, read_situation
from costaudit.record.engines.open_local import open_local
from costaudit.record.meters.nvtx_ranges import PhaseRanges
from costaudit.record.options import DEMO_RUN, EngineSettings, ProfileOptions, Progress
from costaudit.record.profile import record_profile
from costaudit.recording.recording import Recording

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

NO_GPU, MISSED = 5, 1
RESULTS = Path(__file__).resolve().parent / "results"
OLDEST = (9, 0)  # compute capability of Hopper
# The shape of Llama-3.1-8B (its published config.json), with room for the 32k prompt.
SHAPE = {
    "architectures": ["LlamaForCausalLM"], "model_type": "llama", "hidden_act": "silu",
    "hidden_size": 4096, "intermediate_size": 14336, "num_hidden_layers": 32,
    "num_attention_heads": 32, "num_key_value_heads": 8, "head_dim": 128, "vocab_size": 128256,
    "max_position_embeddings": 40960, "rms_norm_eps": 1e-5, "rope_theta": 500000.0,
    "tie_word_embeddings": False, "torch_dtype": "bfloat16",
}  # fmt: skip
FITTED = ("error_p50_share", "error_p90_share", "fitted_points", "held_out_points")
NO_NCU = "needs Nsight Compute (ncu), which the wheels do not bring"


def main() -> None:
    """Measure, keep, print; leaves with the documented code."""
    asked = _arguments()
    why = "" if asked.rehearse else _why_no_gpu()
    if why:
        print(f"gpu-check: {why}; nothing was measured", file=sys.stderr)
        sys.exit(NO_GPU)
    table = Table(until=time.monotonic() + asked.seconds)
    with tempfile.TemporaryDirectory(prefix="gpu-check-") as made:
        run = Path(made) / "run.costaudit"
        document: dict[str, Any] = {}
        table.measure("recording", asked.seconds / 4, lambda: _recorded(asked, run, document))
        if document:
            table.measure("steps", asked.seconds / 12, lambda: _stepped(asked, run))
            for step in ("static-kv-cache", "continuous-batching"):
                predict = _predict(asked, run, step)
                table.measure(f"{step}: predicted against measured", asked.seconds / 8, predict)
    table.rows.append(Row(what="DRAM bytes by Nsight Compute", value=None, why=NO_NCU))
    kept = _kept(asked, table, document)
    print(json.dumps(kept, indent=2) if asked.json else _text(table))
    missed = any(row.verdict == "missed" for row in table.rows)
    sys.exit(MISSED if missed and not asked.rehearse else 0)


def _why_no_gpu() -> str:
    try:
        import torch  # noqa: PLC0415 - told in a sentence where it is missing
    except ImportError:
        return "torch is not installed"
    if not torch.cuda.is_available():
        return "torch sees no CUDA device"
    if torch.cuda.get_device_capability() < OLDEST:
        return f"{torch.cuda.get_device_name()} is older than Hopper and has no GPM"
    return ""


def _recorded(asked: argparse.Namespace, run: Path, document: dict[str, Any]) -> Iterator[Row]:
    """A recording as `costaudit profile` makes it, and what its audit says."""
    small: Mapping[str, Any] = DEMO_RUN if asked.rehearse else {"batch_size": 8}
    options = ProfileOptions(
        target=_target(asked, run.parent),
        path=run,
        dtype="float32" if asked.rehearse else "bfloat16",
        dummy_weights=not asked.rehearse,
        time_budget_s=asked.seconds / 4,
        **small,
    )
    record_profile(options, progress=_silent)
    judged = read_situation(run, AuditOptions())  # no plan is searched: that takes its time
    document.update(measured_sections(judged.situation.metrics))
    document["steptime"] = {name: getattr(judged.step_time, name) for name in FITTED}
    yield from steps.of_audit(document)


def _target(asked: argparse.Namespace, folder: Path) -> str:
    if asked.rehearse:
        return "demo"
    model = folder / "llama-8b-shape"
    model.mkdir(exist_ok=True)
    (model / "config.json").write_text(json.dumps(SHAPE), encoding="utf-8")
    return str(model)


def _stepped(asked: argparse.Namespace, run: Path) -> list[Row]:
    with Recording.read(run) as recording:
        facts = recording.facts()["device"]
    names = ("peak_flops", "peak_copy_bytes_per_s")
    peaks = {name: float(str(facts[name].value)) for name in names}
    engine = open_local(
        _target(asked, run.parent),
        device="auto",
        dtype="float32" if asked.rehearse else "bfloat16",
        dummy_weights=not asked.rehearse,
        trust_remote_code=False,
        revision=None,
        ranges=PhaseRanges(),
        settings=EngineSettings(cache="static"),
    )
    with closing(engine):
        if asked.rehearse:
            return [
                *steps.single_steps(engine, peaks, 256),
                *steps.eight_prompts(engine, 64),
                *gemms.int8_speedups(engine),
            ]
        rows = [*steps.single_steps(engine, peaks, 4096), *steps.eight_prompts(engine, 2048)]
        rows += steps.long_prompt(engine, 32_768)
    return [*rows, *gemms.fp8_speedups(SHAPE["hidden_size"], SHAPE["intermediate_size"])]  # type: ignore[arg-type]


def _predict(asked: argparse.Namespace, run: Path, step: str) -> Any:
    target = _target(asked, run.parent)
    return lambda: changes.predicted(run, target, step, asked.seconds / 9)


def _kept(asked: argparse.Namespace, table: Table, document: dict[str, Any]) -> dict[str, Any]:
    """The raw results, written as one small file named after the device and the day."""
    device = document.get("device", {})
    found = {
        "measured_utc": datetime.now(UTC).isoformat(timespec="seconds"),
        "device": device,
        "rehearsal": asked.rehearse,
        "rows": [asdict(row) | {"verdict": row.verdict} for row in table.rows],
        "phases": document.get("phases", {}),
        "steptime": document.get("steptime", {}),
        "ramp": document.get("kv_cache", {}).get("ramp", []),
    }
    if not asked.rehearse or asked.into != RESULTS:
        name = "-".join(str(device.get("name") or "gpu").lower().split())
        asked.into.mkdir(parents=True, exist_ok=True)
        path = asked.into / f"gpu-check-{name}-{datetime.now(UTC):%Y%m%d}.json"
        path.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
        print(f"raw results: {path}", file=sys.stderr)
    return found


def _text(table: Table) -> str:
    lines = []
    for row in table.rows:
        value = "" if row.value is None else f"{row.value:.4g} {row.unit}".strip()
        bar = " to ".join(f"{end:g}" for end in (row.low, row.high) if end is not None)
        why = f"  ({row.why})" if row.value is None else ""
        lines.append(f"{row.what:<58}{value:>14}  {bar:<14} {row.verdict}{why}".rstrip())
    return "\n".join(lines)


def _silent(_: Progress) -> None:
    """A bench prints its table only."""


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--into", type=Path, default=RESULTS, help="folder of the raw results")
    parser.add_argument("--seconds", type=float, default=540.0, help="of all of it")
    parser.add_argument("--rehearse", action="store_true", help="the demo, on the CPU")
    parser.add_argument("--json", action="store_true")
    return parser.parse_args()


if __name__ == "__main__":
    main()
