"""What the instruments cost: one NVTX range, one background sample, as shares of a decode step.

    python bench/nvtx_overhead.py [--json]

Ranges are timed without a tool and with one that listens (a few lines of C from tests/fakes, built
with gcc). The step is a real decode step of a Llama-style model of about 30 M random parameters on
one thread; without torch only the nanoseconds are printed. Exits with 1 above the bar.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from costaudit.record.meters.host import HostMeter
from costaudit.record.meters.nvtx_ranges import PhaseRanges
from costaudit.record.meters.sampler import PERIOD_S

if TYPE_CHECKING:
    from collections.abc import Callable

BAR_SHARE = 0.003  # of a step
TOOL = Path(__file__).resolve().parents[1] / "tests" / "fakes" / "nvtx_injection.c"
CALLS, ROUNDS = 50_000, 7
CONTEXT_TOKENS, STEPS = 256, 20


def _ns_per_call(work: Callable[[], None]) -> float:
    """Minimum over rounds of thread CPU nanoseconds per call, the loop's own cost taken off."""

    def loop(body: Callable[[], None]) -> float:
        began = time.thread_time_ns()
        for _ in range(CALLS):
            body()
        return (time.thread_time_ns() - began) / CALLS

    def nothing() -> None:
        pass

    return min(loop(work) - loop(nothing) for _ in range(ROUNDS))


def time_ranges() -> dict[str, object]:
    """Nanoseconds of one push and pop, with the same payload as before and with a new one."""
    ranges = PhaseRanges()
    counter = iter(range(1, 10 * CALLS * ROUNDS))

    def same() -> None:
        ranges.push("decode", 8)
        ranges.pop()

    def fresh() -> None:
        ranges.push("prefill", next(counter))
        ranges.pop()

    return {
        "state": str(ranges.state.state),
        "same_payload_ns": _ns_per_call(same),
        "new_payload_ns": _ns_per_call(fresh),
    }


def time_host_sample() -> dict[str, float]:
    """Seconds of one background sample of the host, and its share of the sampling period."""
    meter = HostMeter()
    costs = []
    for n in range(100):
        began = time.thread_time()
        meter.sample(float(n))
        costs.append(time.thread_time() - began)
    return {"seconds": min(costs), "share_of_a_core": min(costs) / PERIOD_S}


def decode_step_s() -> float:
    """Thread CPU seconds of one decode step of a 30 M parameter model, minimum over rounds."""
    import torch  # noqa: PLC0415 - an extra
    from transformers import DynamicCache, LlamaConfig, LlamaForCausalLM  # noqa: PLC0415

    torch.set_num_threads(1)
    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=16_000,
        hidden_size=448,
        intermediate_size=1_216,
        num_hidden_layers=8,
        num_attention_heads=7,
        num_key_value_heads=1,
        max_position_embeddings=1_024,
    )
    model = LlamaForCausalLM(config).eval()
    best = float("inf")
    with torch.inference_mode():
        token = torch.zeros((1, 1), dtype=torch.long)
        for _ in range(ROUNDS):
            cache = DynamicCache(config=config)
            prompt = torch.randint(0, 16_000, (1, CONTEXT_TOKENS))
            model(input_ids=prompt, past_key_values=cache, use_cache=True)
            began = time.thread_time()
            for _ in range(STEPS):
                model(input_ids=token, past_key_values=cache, use_cache=True)
            best = min(best, (time.thread_time() - began) / STEPS)
    return best


def _in_child(part: str, **env: str) -> dict[str, object]:
    """A tool is heard of only when a process starts: each case gets its own."""
    clean = {k: v for k, v in os.environ.items() if not k.startswith("NVTX_")}
    done = subprocess.run(  # noqa: S603 - this very script
        [sys.executable, __file__, "--part", part],
        env=clean | {"OMP_NUM_THREADS": "1"} | env,
        capture_output=True,
        text=True,
        check=True,
    )
    found: dict[str, object] = json.loads(done.stdout)
    return found


def measure() -> dict[str, object]:
    """All figures; a part that cannot run here is None."""
    results: dict[str, object] = {"no_tool": _in_child("ranges"), "tool": None}
    compiler = shutil.which("gcc")
    if compiler is not None and TOOL.is_file():
        with tempfile.TemporaryDirectory() as folder:
            library = Path(folder) / "tool.so"
            subprocess.run(  # noqa: S603 - our own source
                [compiler, "-O2", "-shared", "-fPIC", "-DSILENT", "-o", library, TOOL], check=True
            )
            results["tool"] = _in_child("ranges", NVTX_INJECTION64_PATH=str(library))
    results["host_sample"] = time_host_sample()
    has_torch = find_spec("torch") is not None and find_spec("transformers") is not None
    results["decode_step"] = _in_child("step") if has_torch else None
    results["shares_of_a_step"] = _shares(results)
    return results


def _shares(results: dict[str, object]) -> dict[str, float]:
    """One range per step, plus the sampler's share of a core, over the step."""
    step, host = results["decode_step"], results["host_sample"]
    if not isinstance(step, dict) or not isinstance(host, dict):
        return {}
    return {
        case: found["new_payload_ns"] * 1e-9 / step["seconds"] + host["share_of_a_core"]
        for case in ("no_tool", "tool")
        if isinstance(found := results[case], dict)
    }


def _show(results: dict[str, object]) -> None:
    for case in ("no_tool", "tool"):
        found = results[case]
        if isinstance(found, dict):
            print(
                f"{case:8} ({found['state']:3})  push+pop {found['same_payload_ns']:6.0f} ns, "
                f"with a new payload {found['new_payload_ns']:6.0f} ns"
            )
        else:
            print(f"{case:8}  not measured: gcc is not installed")
    host, step, shares = (
        results[key] for key in ("host_sample", "decode_step", "shares_of_a_step")
    )
    if isinstance(host, dict):
        share = host["share_of_a_core"]
        print(f"host sample        {host['seconds'] * 1e6:6.0f} us, {share:.3%} of a core")
    if isinstance(step, dict) and isinstance(shares, dict):
        print(f"decode step        {step['seconds'] * 1e3:6.2f} ms (one thread, 30 M parameters)")
        for case, share in shares.items():
            print(f"instrumentation    {share:.4%} of a step, {case} (bar {BAR_SHARE:.1%})")
    else:
        print("decode step        not measured: torch or transformers is not installed")


def main() -> int:
    """Print the figures; 1 when the bar is broken."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", action="store_true", help="print the figures as JSON")
    parser.add_argument("--part", choices=("ranges", "step"), help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.part == "ranges":
        print(json.dumps(time_ranges()))
        return 0
    if asked.part == "step":
        print(json.dumps({"seconds": decode_step_s()}))
        return 0
    results = measure()
    if asked.json:
        print(json.dumps(results, indent=2))
    else:
        _show(results)
    shares = results["shares_of_a_step"]
    broken = isinstance(shares, dict) and any(share > BAR_SHARE for share in shares.values())
    return 1 if broken else 0


if __name__ == "__main__":
    sys.exit(main())
