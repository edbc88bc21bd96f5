"""Bad input gives a clear error or counted rejections; nothing is lost without a word."""

from __future__ import annotations

import gzip
import random
import subprocess
import sys
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from logs import (
    OUTPUT_TOKENS,
    PROMPT_TOKENS,
    REQUESTS,
    START,
    azure,
    mooncake,
    parquet,
    write,
    write_csv,
)

from costaudit.ground.errors import UsageError
from costaudit.traffic import lines
from costaudit.traffic.demand import total
from costaudit.traffic.read import read_demand
from costaudit.traffic.sample import read_traffic

HEADER = ("time", "prompt_tokens", "output_tokens")


def reasons(demand):
    return {found.reason: (found.rows, found.example) for found in demand.rejected}


def test_impossible_lengths_are_counted_by_name_with_their_first_line(tmp_path):
    rows = [[t.isoformat(), p, o] for t, p, o in REQUESTS]
    for line, column, value in [
        (5, 1, -3), (9, 1, -1), (11, 1, 0), (13, 1, 2_000_000_000), (15, 1, "many"), (17, 1, 1.5),
        (19, 1, ""), (21, 2, -7), (23, 2, 0), (25, 2, 1e12), (27, 2, "NaN"), (29, 0, "yesterday"),
        (31, 0, "0001-01-01 00:00:00"), (33, 0, ""),
    ]:  # fmt: skip
        rows[line - 2][column] = value
    demand = read_demand(write_csv(tmp_path / "log.csv", HEADER, rows))
    found = reasons(demand)
    assert {why: count for why, (count, _) in found.items()} == {
        "no readable time": 2,
        "time out of any log's range": 1,
        "prompt tokens missing or no number": 2,
        "negative prompt tokens": 2,
        "zero prompt tokens": 1,
        "more than 10,000,000 prompt tokens": 1,
        "prompt tokens no whole number": 1,
        "negative output tokens": 1,
        "zero output tokens (failed or cancelled)": 1,
        "more than 10,000,000 output tokens": 2,
    }
    assert found["negative prompt tokens"][1].startswith("log.csv line 5: time=2024-05-06T09:01:51")
    assert "prompt_tokens=-3" in found["negative prompt tokens"][1]
    assert total(demand.requests) + demand.rejected_rows == len(REQUESTS)


@pytest.mark.parametrize("packed", [False, True])
def test_one_percent_corrupt_json_lines(tmp_path, packed):
    good = Path(mooncake(tmp_path)).read_text().splitlines() * 10
    rng = random.Random(1)
    broken = sorted(rng.sample(range(len(good)), len(good) // 100))
    damage = (
        "",
        "\x00\x01",
        '{"timestamp": 5, "input_le',
        "[1, 2]",
        "null",
        '{"a": 1}}',
        "\udcff\udcfe{",
    )
    for i, at in enumerate(broken):
        good[at] = damage[i % len(damage)]
    raw = "\n".join(good).encode(errors="surrogateescape")
    path = tmp_path / ("log.jsonl.gz" if packed else "log.jsonl")
    path.write_bytes(gzip.compress(raw) if packed else raw)
    demand = read_demand(str(path))
    blank = sum(good[at] == "" for at in broken)
    assert total(demand.requests) == len(good) - len(broken)
    assert demand.rejected_rows == len(broken) - blank
    assert set(reasons(demand)) == {"not a JSON object", lines.NOT_UTF8}
    first = next(at for at in broken if good[at] and "\udcff" not in good[at])
    assert reasons(demand)["not a JSON object"][1].startswith(f"{path.name} line {first + 1}:")


def test_corrupt_csv_lines_cost_only_themselves(tmp_path):
    text = Path(azure(tmp_path)).read_text().splitlines()
    text[10] = '2023-11-16 18:17:03,"4808,10'
    text[20] = "2023-11-16 18:17:03,4808"
    text[30] = "2023-11-16 18:17:03,4808,10,1"
    demand = read_demand(write(tmp_path / "log.csv", "\n".join(text)))
    assert total(demand.requests) == len(REQUESTS) - 3
    found = reasons(demand)
    assert found["unbalanced quotes"] == (
        1,
        "log.csv line 11: TIMESTAMP=2023-11-16 18:17:03, ContextTokens=4808,10, GeneratedTokens=",
    )
    assert found["wrong number of fields"][0] == 2
    assert "log.csv line 21" in found["wrong number of fields"][1]


@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize("where", ["first", "middle", "last"])
def test_a_line_without_end_is_left_out(tmp_path, monkeypatch, packed, where):
    monkeypatch.setattr(lines, "MAX_LINE_BYTES", 100_000)
    monkeypatch.setattr(lines, "CHUNK_BYTES", 30_000)
    good = Path(mooncake(tmp_path)).read_text().splitlines()
    at = {"first": 0, "middle": 150, "last": len(good)}[where]
    good.insert(at, '{"timestamp": 1, "prompt": "' + "x" * 1_000_000)
    text = "\n".join(good) + ("" if where == "last" else "\n")
    demand = read_demand(write(tmp_path / ("log.jsonl.gz" if packed else "log.jsonl"), text))
    assert total(demand.prompt_tokens) == PROMPT_TOKENS
    (found,) = demand.rejected
    assert (found.reason, found.rows) == (lines.TOO_LONG, 1)
    assert f"line {at + 1}: 1,000,028 bytes" in found.example


@pytest.mark.slow
def test_a_line_of_gigabytes_costs_no_memory(tmp_path):
    """A sparse file: 5 GiB of zero bytes in one line between good ones."""
    path = tmp_path / "log.csv"
    rows = [f"{t.isoformat()},{p},{o}\n".encode() for t, p, o in REQUESTS]
    with path.open("wb") as file:
        file.write(",".join(HEADER).encode() + b"\n" + b"".join(rows[:100]))
        file.seek(5 << 30, 1)
        file.write(b"\n" + b"".join(rows[100:]))
    code = (
        "import sys; from costaudit.traffic.read import read_demand\n"
        "d = read_demand(sys.argv[1]); print(sum(d.requests), d.rejected)\n"
        "own = open('/proc/self/status').read()\n"  # ru_maxrss would count the parent's, too
        "print(own.split('VmHWM:')[1].split()[0])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(path)], capture_output=True, text=True, check=True
    )
    said, peak = done.stdout.splitlines()
    assert said.startswith("290.0 ")
    assert "line 102: 5,368,709,120 bytes" in said
    assert int(peak) < 600_000  # KiB


def test_mixed_time_zones_are_one_clock(tmp_path):
    def written(i, t):
        naive = t.replace(tzinfo=None).isoformat(" ")
        return (
            naive, naive + "Z", naive + "+00:00",
            f"{t.astimezone(ZoneInfo('Asia/Kolkata')).isoformat()}",
            f"{t.astimezone(ZoneInfo('America/New_York')).isoformat()}",
        )[i % 5]  # fmt: skip

    rows = [(written(i, t), p, o) for i, (t, p, o) in enumerate(REQUESTS)]
    demand = read_demand(write_csv(tmp_path / "zones.csv", HEADER, rows))
    assert demand.starts[0] == START
    assert demand.requests == (98.0, 97.0, 95.0)
    assert demand.time_zone_note == "58 of 290 times carry no zone and were taken as UTC"


def test_repeated_ids_count_once(tmp_path):
    rows = [(t.isoformat(), p, o, f"r{i}") for i, (t, p, o) in enumerate(REQUESTS)]
    again = [
        (t.isoformat(), p, 0 if i % 2 else o, f"r{i}") for i, (t, p, o) in enumerate(REQUESTS[:50])
    ]
    partial = [(t.isoformat(), p, 1, f"r{i}") for i, (t, p, o) in enumerate(REQUESTS[:5])]
    path = write_csv(tmp_path / "log.csv", (*HEADER, "request_id"), rows + again + partial)
    demand = read_demand(path)
    assert total(demand.prompt_tokens) == PROMPT_TOKENS
    assert total(demand.output_tokens) == OUTPUT_TOKENS
    assert demand.duplicates == 25 + 5
    assert reasons(demand)["zero output tokens (failed or cancelled)"][0] == 25
    assert read_traffic(path).prompt_tokens == PROMPT_TOKENS


def test_an_id_that_all_rows_share_is_no_request_id(tmp_path):
    rows = [(t.isoformat(), p, o, "tenant") for t, p, o in REQUESTS]
    demand = read_demand(write_csv(tmp_path / "log.csv", (*HEADER, "id"), rows))
    assert (total(demand.prompt_tokens), demand.duplicates) == (PROMPT_TOKENS, 0)
    assert "share their id" in demand.notes[0]


def refusal(source, **options):
    with pytest.raises(UsageError) as caught:
        read_demand(str(source), **options)
    return f"{caught.value.message} | {caught.value.hint}"


def test_what_is_no_log_is_named(tmp_path):
    azure(tmp_path)
    assert "is a folder" in refusal(tmp_path)
    assert "azure.csv" in refusal(tmp_path)
    (tmp_path / "empty.csv").touch()
    assert "is empty" in refusal(tmp_path / "empty.csv")
    assert "did you mean 'azure.csv'" in refusal(tmp_path / "azur.csv")
    assert "no file matches" in refusal(tmp_path / "*.parquet")
    assert "not a regular file" in refusal("/dev/zero")
    assert "s3://" in refusal("s3://bucket/log.parquet")
    assert "is zstd" in refusal(write_bytes(tmp_path / "a.csv.zst", b"(\xb5/\xfd0000"))
    assert "is not text" in refusal(write_bytes(tmp_path / "a.bin", bytes(range(32)) * 99))
    assert "has no rows" in refusal(write(tmp_path / "h.csv", ",".join(HEADER) + "\n"))
    assert "no header line" in refusal(write(tmp_path / "n.csv", "2024-05-06 09:00:00,1,2\n" * 3))
    assert "two columns 'a'" in refusal(write(tmp_path / "t.csv", "a,b,a\n1,2,3\n"))
    assert "is not JSON" in refusal(write(tmp_path / "x.json", "{ not json"))
    assert "a window of 0 s" in refusal(tmp_path / "azure.csv", window_s=0)


def write_bytes(path, raw):
    path.write_bytes(raw)
    return path


def test_damaged_archives_are_named(tmp_path):
    azure(tmp_path)
    packed = gzip.compress((tmp_path / "azure.csv").read_bytes())
    cut = refusal(write_bytes(tmp_path / "cut.csv.gz", packed[:-500]))
    assert "cut.csv.gz is not a readable gzip file" in cut
    assert "not a readable gzip" in refusal(
        write_bytes(tmp_path / "b.gz", b"\x1f\x8b" + b"junk" * 50)
    )
    flipped = bytearray(packed)
    flipped[len(packed) // 2] ^= 0xFF
    assert "gzip" in refusal(write_bytes(tmp_path / "c.gz", bytes(flipped)))
    whole = Path(parquet(tmp_path)).read_bytes()
    assert "no Parquet" in refusal(write_bytes(tmp_path / "p.parquet", whole[:-20]))


def test_unknown_columns_say_which_map_would_do(tmp_path):
    path = write_csv(tmp_path / "own.csv", ("wann", "rein", "raus"), [("2024-05-06", 1, 2)])
    said = refusal(path)
    assert "time and prompt_tokens and output_tokens" in said
    assert "--map time=COLUMN,prompt_tokens=COLUMN,output_tokens=COLUMN" in said
    assert "wann, rein, raus" in said
    assert "did you mean 'rein'?" in refusal(path, mapping={"prompt_tokens": "rien"})
    assert "did you mean 'prompt_tokens'?" in refusal(path, mapping={"prompt_token": "rein"})
    everything = {"time": "rein", "prompt_tokens": "rein", "output_tokens": "raus"}
    assert read_demand(path, mapping=everything).relative_time
    text = write_csv(tmp_path / "t.csv", HEADER, [("soon", 1, 2)])
    assert "holds no times" in refusal(text)


def test_nothing_usable_says_why(tmp_path):
    rows = [(t.isoformat(), -p, o) for t, p, o in REQUESTS]
    said = refusal(write_csv(tmp_path / "log.csv", HEADER, rows))
    assert "290 × negative prompt tokens" in said
    assert "log.csv line 2" in said


def test_files_of_one_glob_must_agree(tmp_path):
    write_csv(tmp_path / "a.csv", HEADER, [(START, 1, 2)])
    write_csv(tmp_path / "b.csv", (*HEADER, "more"), [(START, 1, 2, 3)])
    assert "b.csv has other columns than" in refusal(tmp_path / "*.csv")


def test_windows_cannot_be_replayed(tmp_path):
    path = write_csv(
        tmp_path / "r.csv", ("t_s", "rps", "in_tok_s", "out_tok_s"), [(0, 1, 2, 3), (600, 1, 2, 3)]
    )
    with pytest.raises(UsageError, match="sums per window"):
        read_traffic(path)


def test_a_missing_backend_is_named_and_its_password_is_not():
    with pytest.raises(UsageError) as caught:
        read_demand("logs", backend="clickhouse://me:secret@localhost:1/db")
    assert "secret" not in caught.value.message + caught.value.hint
    assert "clickhouse" in caught.value.message
