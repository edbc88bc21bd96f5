"""How long a fleet's day takes to diagnose from a real Prometheus, and how much memory.

    python bench/fleet.py [--replicas N] [--hours H] [--scrape S] [--folder DIR] [--json]

A made-up fleet (three models, one replica in five with something planted) is written as OpenMetrics
and made into blocks by `promtool tsdb create-blocks-from openmetrics`; Debian's Prometheus serves
them, and `costaudit diagnose --prometheus` asks it in a process of its own. With --folder the
blocks are kept there and used again. The planted causes must all be found.

Bars, for 1,000 replicas over 24 hours: 20 seconds, 1 GB. The Prometheus on the same machine does
most of the work, so its processor time is printed beside.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

# ruff: noqa: PLC0415 - the measured process loads nothing but its own parts

if TYPE_CHECKING:
    from collections.abc import Sequence

    from fleets.openmetrics import Member

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests"))

BAR_S, BAR_BYTES = 20.0, 1e9
FULL = (1000, 24.0)  # replicas, hours: what the bars are for
STAMP = "fleet.json"
FOUND = {"kv-starved": "kv-preemption", "seats": "batch-cap"}


def main() -> int:
    """Exit status: 1 where a bar is missed or a cause is not found."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--replicas", type=int, default=FULL[0])
    parser.add_argument("--hours", type=float, default=FULL[1])
    parser.add_argument("--scrape", type=int, default=60, help="seconds between two scrapes")
    parser.add_argument("--folder", type=Path, help="keep the blocks here")
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--ask", help=argparse.SUPPRESS)  # URL END: the process that is measured
    options = parser.parse_args()
    if options.ask:
        return ask(*options.ask.split(), hours=options.hours)
    with tempfile.TemporaryDirectory() as scratch:
        folder = options.folder or Path(scratch)
        found = measured(folder, options.replicas, options.hours, options.scrape)
    if options.json:
        print(json.dumps(found, indent=2))
    else:
        print("\n".join(f"{name:<28}{value}" for name, value in found.items()))
    full = (options.replicas, options.hours) >= FULL
    missed = full and (found["seconds"] > BAR_S or found["bytes"] > BAR_BYTES)
    return 1 if missed or found["not_found"] else 0


def measured(folder: Path, replicas: int, hours: float, scrape_s: int) -> dict[str, Any]:
    """Make the blocks where they are not there, serve them, ask, and compare with the truth."""
    import psutil
    from fleets.openmetrics import fleet, write_blocks
    from parts import prometheus

    spec = {"replicas": replicas, "hours": hours, "scrape_s": scrape_s}
    stamp = folder / STAMP
    told = json.loads(stamp.read_text()) if stamp.exists() else {}
    same = {name: told.get(name) for name in spec} == spec
    end_s = told["end_s"] if same else int(time.time()) // 60 * 60 - 60
    members = list(fleet(replicas=replicas, hours=hours, tick_s=scrape_s, end_s=end_s))
    if not same:
        if folder.exists() and any(folder.iterdir()):
            raise SystemExit(f"{folder} holds something else")
        folder.mkdir(parents=True, exist_ok=True)
        tool = prometheus.promtool()
        samples = write_blocks(members, folder, tool, tick_s=scrape_s, end_s=end_s)
        told = {**spec, "end_s": end_s, "samples": samples}
        stamp.write_text(json.dumps(told))
    with prometheus.serve("--storage.tsdb.retention.time=10y", data=folder) as server:
        before = server.cpu_seconds()
        child = [sys.executable, __file__, "--hours", str(hours)]
        command = [*child, "--ask", f"{server.base_url} {end_s}"]
        done = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603
        if done.returncode:
            raise SystemExit(done.stderr[-2000:])
        asked: dict[str, Any] = json.loads(done.stdout)
        cpu_s = server.cpu_seconds() - before
    first = asked.pop("first")
    return {
        **told,
        **asked,
        "prometheus_cpu_seconds": round(cpu_s, 2),
        "load_average": psutil.getloadavg()[0],
        "not_found": missing(members, first),
    }


def ask(url: str, end_s: str, *, hours: float) -> int:
    """What is measured: from nothing to the text of the fleet, start-up of Python included."""
    from costaudit.diagnosis.run_past import PastAsked, diagnose_past
    from costaudit.report.fleet_console import fleet_text

    seconds = f"{round(hours * 3600)}s"
    asked = PastAsked(url=url, window=seconds, at_s=float(end_s), usd_per_device_h=2.0)
    fleet = diagnose_past(asked)
    text = fleet_text(fleet)
    import psutil

    me = psutil.Process()
    print(
        json.dumps(
            {
                "seconds": round(time.time() - me.create_time(), 2),
                "cpu_seconds": round(sum(me.cpu_times()[:2]), 2),
                "bytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024,
                "questions": fleet.past.asked,
                "lines": len(text.splitlines()),
                "first": {
                    m.replica.place.pod: m.finding.id if m.finding else m.diagnosis.state.value
                    for m in fleet.members
                },
            }
        )
    )
    return 0


def missing(members: Sequence[Member], first: dict[str, str]) -> list[str]:
    """Replicas whose planted cause is not what was found first."""
    wanted = {member.pod: FOUND.get(member.state.name, member.state.name) for member in members}
    planted = {pod: cause for pod, cause in wanted.items() if cause in {*FOUND.values(), "idle"}}
    return [f"{pod}: {cause}" for pod, cause in planted.items() if first.get(pod) != cause]


if __name__ == "__main__":
    sys.exit(main())
