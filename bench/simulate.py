"""How fast is the what-if engine, and does its cost per request stay flat?

    python bench/simulate.py --synthetic 1000000 [--sweep] [--json]
    python bench/simulate.py TRACE [--sweep] [--json]

TRACE is a CSV with the columns arrival_s, prompt_tokens, output_tokens and, if it has them,
hash_ids (space-separated); or the public form of Mooncake (JSON lines) or of Azure (CSV). Every
size runs in a process of its own, so that its peak memory is its own. The compiled scheduler is
loaded, or compiled where this machine has not done so yet, before the clock starts; how long that
took stands beside the figures. The bars are on CPU seconds, reading included: it is one thread,
so on a core of its own these are the seconds by the clock, too. `--sweep` times a whole plan over
20,000 requests: every step alone, the best order and both conventional ones, with intervals.
"""

from __future__ import annotations

import argparse
import gc
import json
import resource
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from simulated.situation import a_plan, scenario_of
from simulated.traces import read_trace, synthetic

from costaudit.whatif import serving
from costaudit.whatif.scenario import Batching
from costaudit.whatif.simulate import simulate

if TYPE_CHECKING:
    from costaudit.traffic.traffic import Traffic

SIZES = (10_000, 100_000, 1_000_000)
SWEEP_REQUESTS = 20_000
SECONDS_BAR, GIB_BAR, SWEEP_BAR_S = 10.0, 2.0, 15.0
MILLION = 1_000_000


def main() -> None:
    """Print the figures; exit with 1 where a bar is missed."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("trace", nargs="?", type=Path)
    parser.add_argument("--synthetic", type=int, metavar="N", help="requests drawn, not read")
    parser.add_argument("--sweep", action="store_true", help="time a plan, too")
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--one", type=int, help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if (asked.trace is None) == (asked.synthetic is None):
        parser.error("give a trace or --synthetic N")
    if asked.one is not None:
        print(json.dumps(_sweep(asked) if asked.sweep else _timed(asked)))
        return
    result = _all(asked)
    print(json.dumps(result) if asked.json else _table(result))
    sys.exit(0 if result["passed"] else 1)


def _traffic(asked: argparse.Namespace, requests: int) -> Traffic:
    return read_trace(asked.trace, requests) if asked.trace else synthetic(requests)


def _all(asked: argparse.Namespace) -> dict[str, Any]:
    most = asked.synthetic or len(_traffic(asked, MILLION).requests)
    sizes = sorted({*(size for size in SIZES if size < most), most})
    rows = [_apart(size, sweep=False) for size in sizes]
    result: dict[str, Any] = {"sizes": rows}
    within = all(
        row["cpu_s"] <= SECONDS_BAR * max(row["requests"] / MILLION, 0.1)
        and row["peak_gib"] <= GIB_BAR
        for row in rows
    )
    if asked.sweep:
        result["sweep"] = _apart(min(most, SWEEP_REQUESTS), sweep=True)
        within = within and result["sweep"]["cpu_s"] <= SWEEP_BAR_S
    return {**result, "passed": within}


def _apart(size: int, *, sweep: bool) -> dict[str, Any]:
    """One size, in its own process."""
    flags = [flag for flag in sys.argv[1:] if flag not in {"--json", "--sweep"}]
    command = [sys.executable, __file__, *flags, "--one", str(size), *(["--sweep"] * sweep)]
    done = subprocess.run(command, check=True, capture_output=True, text=True)  # noqa: S603
    row: dict[str, Any] = json.loads(done.stdout)
    return row


def _timed(asked: argparse.Namespace) -> dict[str, Any]:
    load_s = _warm()
    gc.disable()  # millions of objects that live to the end are not worth looking for garbage
    clock = time.perf_counter
    began, began_cpu = clock(), time.process_time()
    traffic = _traffic(asked, asked.one)
    read_s = clock() - began
    outcome = simulate(scenario_of(traffic))
    total_s, cpu_s = clock() - began, time.process_time() - began_cpu
    requests = len(traffic.requests)
    return {
        "requests": requests,
        "load_compiled_s": load_s,
        "read_s": read_s,
        "simulate_s": total_s - read_s,
        "total_s": total_s,
        "cpu_s": cpu_s,
        "requests_per_s": requests / total_s,
        "cpu_us_per_request": MILLION * cpu_s / requests,
        "peak_gib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20,
        "engine_steps": outcome.steps,
        "tokens": outcome.prompt_tokens + outcome.output_tokens,
        "busy_share": outcome.busy_s / outcome.window_s,
        "preemptions": outcome.kv.preemptions,
        "prefix_hit_share": outcome.kv.prefix_hit_share,
        "max_concurrency": outcome.kv.max_concurrency,
    }


def _warm() -> float:
    """Seconds to have the compiled scheduler at hand."""
    began = time.perf_counter()
    serving.INTERPRETED_BEFORE_COMPILING = 0
    scenario = scenario_of(synthetic(10))
    simulate(scenario)
    simulate(replace(scenario, knobs=replace(scenario.knobs, batching=Batching.STATIC)))
    return time.perf_counter() - began


def _sweep(asked: argparse.Namespace) -> dict[str, Any]:
    load_s = _warm()
    traffic = _traffic(asked, asked.one)
    began, began_cpu = time.perf_counter(), time.process_time()
    plan, simulations = a_plan(scenario_of(traffic))
    return {
        "requests": len(traffic.requests),
        "load_compiled_s": load_s,
        "seconds": time.perf_counter() - began,
        "cpu_s": time.process_time() - began_cpu,
        "simulations": simulations,
        "steps_that_apply": len(plan.best.ids),
        "best": plan.best.ids,
    }


def _table(result: dict[str, Any]) -> str:
    names = ("requests", "read s", "run s", "CPU s", "CPU µs each", "GiB")
    lines = ["".join(f"{name:>13}" for name in names)]
    lines += [
        f"{row['requests']:>13,}{row['read_s']:>13.2f}{row['simulate_s']:>13.2f}"
        f"{row['cpu_s']:>13.2f}{row['cpu_us_per_request']:>13.2f}{row['peak_gib']:>13.2f}"
        for row in result["sizes"]
    ]
    loads = max(row["load_compiled_s"] for row in result["sizes"])
    lines.append(f"loading or compiling the scheduler: {loads:.1f} s")
    if "sweep" in result:
        sweep = result["sweep"]
        lines.append(
            f"plan over {sweep['requests']:,} requests: {sweep['seconds']:.1f} s"
            f" ({sweep['cpu_s']:.1f} s of CPU) for {sweep['simulations']} simulations"
        )
    return "\n".join([*lines, f"within the bars: {'yes' if result['passed'] else 'no'}"])


if __name__ == "__main__":
    main()
