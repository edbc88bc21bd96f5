"""The same expressions on Spark find the same, to the last token."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from pathlib import Path

import pytest
from logs import (
    REQUESTS,
    azure,
    chat_responses,
    litellm_csv,
    mooncake,
    nanoseconds,
    write,
    write_csv,
)
from on_spark import found, replayed
from parts import venvs
from parts.cache import NotInstalledError, Part, Step, installed
from parts.fixtures import INSTALL_S, part_or_skip

CHECKOUT = Path(__file__).resolve().parents[2]
LOCK = Path(__file__).with_name("spark_lock.txt")


def build(folder: Path, step: Step) -> None:
    if not shutil.which("java"):
        raise NotInstalledError("Spark needs Java 17, which is not on the PATH")
    step.run(venvs.python(), "-m", "venv", folder)
    python = folder / "bin/python"
    step.run(python, *venvs.PIP, "install", "--no-deps", "--progress-bar", "off", "-r", LOCK)
    step.run(python, "-c", "import ibis, pyspark")


SPARK = Part(
    name="pyspark",
    key=(LOCK.read_text(), venvs.version()),
    build=build,
    optional=shutil.which("java") is None,
)
# For logs of a few hundred rows: two places to sort in, and no second look at what Java compiled.
SMALL = (
    "--driver-java-options '-XX:TieredStopAtLevel=1 -XX:+UseSerialGC'"
    " --conf spark.sql.shuffle.partitions=2 pyspark-shell"
)


def logs(folder: Path) -> dict[str, str]:
    """Good ones and bad ones: broken lines, repeated ids, odd zones, impossible lengths, gaps."""
    return {
        "azure": broken(azure(folder), ",".join),
        "mooncake": broken(mooncake(folder), lambda _: '{"timestamp": 5, "input_le'),
        "litellm": litellm_csv(folder),
        "responses": chat_responses(folder),
        "nanoseconds": nanoseconds(folder),
        "parquet": repeats(folder),
        "rates": write_csv(
            folder / "rates.csv",
            ("t_s", "rps", "in_tok_s", "out_tok_s"),
            [(600 * i, *((0, 0, 0) if i == 5 else (1.1, 99.7, 3.3))) for i in range(30) if i != 9],
        ),
        "zones": write_csv(
            folder / "zones.csv",
            ("time", "prompt_tokens", "output_tokens"),
            [(t.isoformat()[: -6 if p % 2 else None], p, o) for t, p, o in REQUESTS],
        ),
    }


def broken(path: str, damage) -> str:
    text = Path(path).read_text().splitlines()
    for at in range(7, len(text), 50):
        text[at] = damage(text[at])
    text.insert(20, 'a "quote, that stays open')
    return write(Path(path), "\n".join(text))


def repeats(folder: Path) -> str:
    import pyarrow as pa
    import pyarrow.parquet as pq

    rows = [(t, f"id{i}", p, o) for i, (t, p, o) in enumerate(REQUESTS)]
    rows += [(t, f"id{i}", p, o + 1) for i, (t, p, o) in enumerate(REQUESTS[::7])]
    rows += [(t, None, -p, o) for t, p, o in REQUESTS[::40]]
    names = ("timestamp", "request_id", "prompt_tokens", "output_tokens")
    columns = dict(zip(names, zip(*rows, strict=True), strict=True))
    columns["timestamp"] = pa.array(columns["timestamp"], pa.timestamp("us", "UTC"))
    pq.write_table(pa.table(columns), folder / "repeats.parquet")
    return str(folder / "repeats.parquet")


@pytest.mark.slow
@pytest.mark.timeout(INSTALL_S)
def test_spark_finds_the_same_to_the_last_token(tmp_path):
    with part_or_skip():
        python = installed(SPARK) / "bin/python"
    sources = logs(tmp_path)
    singles = [sources[name] for name in ("azure", "mooncake", "parquet")]
    out = tmp_path / "spark.json"
    done = subprocess.run(
        [python, Path(__file__).with_name("on_spark.py"), json.dumps(list(sources.values())),
         json.dumps(singles), out],
        env=os.environ
        | {
            "PYTHONPATH": str(CHECKOUT),
            "SPARK_LOCAL_IP": "127.0.0.1",
            "PYSPARK_SUBMIT_ARGS": SMALL,
        },
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-3000:]
    there = json.loads(out.read_text())
    for name, source in sources.items():
        here = found(source, None)
        if name == "parquet":  # Spark does not tell whether its timestamps had a zone
            here["time_zone_note"] = "times are timestamps of the engine, read as UTC"
        assert there["demand"][source] == here, name
    for source in singles:
        assert there["traffic"][source] == replayed(source, None)
    assert found(sources["parquet"], None)["duplicates"] == len(REQUESTS[::7])
    assert found(sources["azure"], None)["rejected"]
