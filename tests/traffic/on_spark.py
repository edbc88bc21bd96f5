"""Run by the Python that has PySpark: read logs there, write what was found as JSON."""

from __future__ import annotations

import json
import sys
from dataclasses import asdict
from pathlib import Path

from costaudit.traffic.read import read_demand
from costaudit.traffic.sample import read_traffic


def found(source: str, backend: str | None) -> dict[str, object]:
    """All that a log tells, in a form that can be compared: examples know no lines on Spark."""
    demand = asdict(read_demand(source, backend=backend))
    demand["rejected"] = [(row["reason"], row["rows"]) for row in demand["rejected"]]
    return json.loads(json.dumps(demand, default=str))


def replayed(source: str, backend: str | None) -> list[object]:
    """The requests of a log."""
    traffic = asdict(read_traffic(source, backend=backend, limit=200))
    return json.loads(json.dumps(traffic["requests"]))


if __name__ == "__main__":
    logs, singles, out = json.loads(sys.argv[1]), json.loads(sys.argv[2]), Path(sys.argv[3])
    backend = "spark://local[2]"
    result = {"demand": {log: found(log, backend) for log in logs},
              "traffic": {log: replayed(log, backend) for log in singles}}  # fmt: skip
    out.write_text(json.dumps(result))
