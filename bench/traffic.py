"""How fast a request log becomes hourly demand, beside plain pandas and hand-written DuckDB SQL.

    python bench/traffic.py [--rows N] [--json] [--keep FILE] [--runs K] [--without pandas]

A Parquet log of N requests over four weeks is generated (10 million by default; 100 million want
5 GB of disk), with request ids, some repeated, and broken rows. Each contender reads it in a
process of its own. Seconds of the whole process count for the bar on time; the ratio to the SQL is
of the reading alone, after each has loaded its libraries, which takes as long for one row as for a
billion. All must find the same tokens. The SQL does the same work in the queries that a person
would write: repeated ids, hourly sums, broken rows counted, lengths in a histogram.
"""

from __future__ import annotations

import argparse
import importlib
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

# ruff: noqa: PLC0415 - a contender's process loads nothing but its own parts

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

BARS = {10_000_000: (6.0, 1.5e9), 100_000_000: (None, 2.0e9)}  # rows: seconds, bytes
SQL_BAR = 1.25
MEMORY_LIMIT = "900MB"
LIBRARIES = {
    "costaudit": ("pyarrow.compute", "ibis.backends.duckdb", "costaudit.traffic.read"),
    "sql": ("duckdb",),
    "pandas": ("pandas", "pyarrow.parquet"),
}
CONTENDERS = tuple(LIBRARIES)

LOG = """
copy (
  select timestamp '2024-05-06' + to_microseconds((i * (28 * 86400e6 / {rows}))::bigint)
           as timestamp,
         'chatcmpl-' || lpad(to_hex(i - (i % 1000 = 999)::int), 24, '0') as request_id,
         case when i % 5000 = 7 then -1 else round(exp(6.5 + 1.1 * r * cos(2 * pi() * b)))::int + 1
           end as prompt_tokens,
         round(exp(4.8 + 0.9 * r * sin(2 * pi() * b)))::int + 1 as output_tokens
  from (select i, sqrt(-2 * ln(((i * 2654435761) % 1000003 + 1) / 1000004)) as r,
                  ((i * 40503) % 999983 + 1) / 999984 as b from range({rows}) t(i)))
to '{path}' (format parquet)
"""
SOUND = "prompt_tokens between 1 and 10000000 and output_tokens between 1 and 10000000"
SQL = f"""
create temp table suspects as
  select hash(request_id) as digest from log group by 1 having count(*) > 1;
create temp table once as
  select min(timestamp) as timestamp, max(prompt_tokens) as prompt_tokens,
         max(output_tokens) as output_tokens, count(*) - 1 as repeats
  from log where hash(request_id) in (select digest from suspects) and {SOUND} group by request_id;
create temp view sound as
  select timestamp, prompt_tokens, output_tokens from log
  where {SOUND} and hash(request_id) not in (select digest from suspects)
  union all select timestamp, prompt_tokens, output_tokens from once;
create temp table hourly as
  select date_trunc('hour', timestamp) as hour, count(*) as requests,
         sum(prompt_tokens) as prompt_tokens, sum(output_tokens) as output_tokens
  from sound group by 1;
create temp table lengths as
  select floor(log2(prompt_tokens) * 4) as p, floor(log2(output_tokens) * 4) as o, count(*),
         sum(prompt_tokens), sum(output_tokens) from sound group by 1, 2;
create temp table broken as select count(*) as rows from log where not ({SOUND});
"""  # noqa: S608 - constants of this file


def main(arguments: Sequence[str] | None = None) -> int:
    """Print seconds and memory of each contender; 1 where a bar is missed or results differ."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--rows", type=int, default=10_000_000, help="requests in the log (10 M)")
    parser.add_argument("--json", action="store_true", help="print JSON")
    parser.add_argument(
        "--keep", type=Path, help="write the log here, or use the one that is there"
    )
    parser.add_argument("--runs", type=int, default=3, help="runs a contender; the fastest counts")
    parser.add_argument("--without", action="append", default=[], choices=CONTENDERS)
    parser.add_argument("--as", dest="contender", choices=CONTENDERS, help=argparse.SUPPRESS)
    asked = parser.parse_args(arguments)
    if asked.contender:
        print(json.dumps(measured(asked.contender, asked.keep)))
        return 0
    with tempfile.TemporaryDirectory(prefix="costaudit-bench-") as folder:
        path = asked.keep or Path(folder) / "log.parquet"
        if not path.exists():
            generate(path, asked.rows)
        names = [name for name in CONTENDERS if name not in asked.without]
        found = compare(path, names, runs=asked.runs)
    result = judge(found, asked.rows)
    print(json.dumps(result, indent=1) if asked.json else as_text(result))
    return 1 if result["missed"] else 0


def generate(path: Path, rows: int) -> None:
    """A log without a random number in it: the same on every machine."""
    import duckdb

    con = duckdb.connect(config={"memory_limit": MEMORY_LIMIT, "threads": os.cpu_count() or 1})
    con.execute(LOG.format(rows=rows, path=path))
    con.close()


def compare(path: Path, names: Sequence[str], *, runs: int) -> dict[str, dict[str, Any]]:
    """Each contender in processes of its own, in turns; the fastest run of each."""
    best: dict[str, dict[str, Any]] = {}
    for _ in range(runs):
        for name in names:
            command = [sys.executable, __file__, "--as", name, "--keep", str(path)]
            start = time.perf_counter()
            done = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603 - ourselves
            if done.returncode:
                best[name] = {"failed": done.stderr.strip().splitlines()[-1:] or ["killed"]}
                continue
            run = json.loads(done.stdout) | {"seconds": time.perf_counter() - start}
            if name not in best or run["seconds"] < best[name].get("seconds", 0):
                best[name] = run
    return best


def measured(name: str, path: Path) -> dict[str, Any]:
    """The sums that one contender finds, how long it read, the most memory it held (bytes)."""
    for module in LIBRARIES[name]:
        importlib.import_module(module)
    start = time.perf_counter()
    sums = {"costaudit": by_costaudit, "sql": by_sql, "pandas": by_pandas}[name](path)
    reading_s = time.perf_counter() - start
    used = resource.getrusage(resource.RUSAGE_SELF)
    cpu_s = used.ru_utime + used.ru_stime
    return {"sums": sums, "peak_bytes": used.ru_maxrss * 1024, "cpu_seconds": cpu_s,
            "reading_seconds": reading_s}  # fmt: skip


def by_costaudit(path: Path) -> list[float]:
    """Requests, prompt and output tokens, repeats, broken rows, hours, cells of the histogram."""
    from costaudit.traffic.demand import total
    from costaudit.traffic.read import read_demand

    demand = read_demand(str(path))
    series = (demand.requests, demand.prompt_tokens, demand.output_tokens)
    sums = [total(values) for values in series]
    counts = [demand.duplicates, demand.rejected_rows, len(demand.starts), len(demand.lengths)]
    return [*sums, *map(float, counts)]


def by_sql(path: Path) -> list[float]:
    """The same by hand."""
    import duckdb

    with tempfile.TemporaryDirectory() as spill:
        con = duckdb.connect(config={"memory_limit": MEMORY_LIMIT, "temp_directory": spill})
        con.execute("set preserve_insertion_order = false")
        con.execute(f"create view log as from read_parquet('{path}')")
        con.execute(SQL)
        row = con.execute(
            "select (select sum(requests) from hourly), (select sum(prompt_tokens) from hourly),"
            " (select sum(output_tokens) from hourly), (select sum(repeats) from once),"
            " (select rows from broken), (select count(*) from hourly),"
            " (select count(*) from lengths)"
        ).fetchone()
    return [float(value) for value in row or ()]


def by_pandas(path: Path) -> list[float]:
    """The same with the whole log in memory."""
    import numpy as np
    import pandas as pd

    log = pd.read_parquet(path)
    sound = log.prompt_tokens.between(1, 10_000_000) & log.output_tokens.between(1, 10_000_000)
    kept = log[sound]
    again = kept.request_id.duplicated(keep=False)
    once = (
        kept[again]
        .groupby("request_id")
        .agg({"timestamp": "min", "prompt_tokens": "max", "output_tokens": "max"})
    )
    rows = pd.concat([kept[~again].drop(columns="request_id"), once])
    hourly = rows.groupby(rows.timestamp.dt.floor("h"))[["prompt_tokens", "output_tokens"]].sum()
    cells = rows.groupby(
        [np.floor(np.log2(rows[name]) * 4) for name in ("prompt_tokens", "output_tokens")]
    ).size()
    sums = [len(rows), hourly.prompt_tokens.sum(), hourly.output_tokens.sum()]
    counts = [again.sum() - len(once), (~sound).sum(), len(hourly), len(cells)]
    return [float(value) for value in (*sums, *counts)]


def judge(found: Mapping[str, Mapping[str, Any]], rows: int) -> dict[str, Any]:
    """What was missed: the bars, and agreement."""
    missed = [f"{name} failed: {run['failed'][0]}" for name, run in found.items()
              if "failed" in run and name != "pandas"]  # fmt: skip
    ours, sql = found.get("costaudit", {}), found.get("sql", {})
    differing = {json.dumps(run["sums"]) for run in found.values() if "sums" in run}
    if len(differing) > 1:
        missed.append("the contenders found different sums: " + " / ".join(sorted(differing)))
    seconds, peak = BARS.get(rows, (None, None))
    if "seconds" in ours:
        if seconds and ours["seconds"] > seconds:
            missed.append(f"{ours['seconds']:.1f} s > {seconds} s")
        if peak and ours["peak_bytes"] > peak:
            missed.append(f"{ours['peak_bytes'] / 1e9:.2f} GB > {peak / 1e9} GB")
        if "reading_seconds" in sql:
            ratio = ours["reading_seconds"] / sql["reading_seconds"]
            if ratio > SQL_BAR:
                missed.append(f"{ratio:.2f} × the SQL > {SQL_BAR}")
    return {"rows": rows, "contenders": dict(found), "missed": missed}


def as_text(result: Mapping[str, Any]) -> str:
    """The runs as a table for people."""
    lines = [f"{result['rows']:,} requests to hourly demand; the fastest run of each"]
    lines += [f"{'':12s}{'process s':>11s}{'reading s':>11s}{'CPU s':>11s}{'peak GB':>11s}"]
    for name, run in result["contenders"].items():
        if "failed" in run:
            lines.append(f"{name:12s} failed: {run['failed'][0]}")
        else:
            seconds = (run["seconds"], run["reading_seconds"], run["cpu_seconds"])
            cells = "".join(f"{value:11.2f}" for value in (*seconds, run["peak_bytes"] / 1e9))
            lines.append(f"{name:12s}{cells}")
    return "\n".join([*lines, *(f"missed: {miss}" for miss in result["missed"])])


if __name__ == "__main__":
    sys.exit(main())
