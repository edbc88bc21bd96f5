"""Recordings of many samples: a small one of known step time, multiplied by SQLite itself."""

# ruff: noqa: S608 - our own names and numbers

from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING

from synthetic_run import write_run

if TYPE_CHECKING:
    from pathlib import Path

_LOADS = "prefill_tokens, prefill_pairs, prefill_seqs, decode_seqs, decode_context_tokens"
_TURNS = "WITH RECURSIVE turn(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM turn WHERE n < {turns})"
# A deterministic wobble of up to 20 %, so that rounds differ and each has its own instant.
_WOBBLE = "(1 + 0.2 * ((old.id * 7919 + n * 104729) % 1000) / 1000.0)"
_ROUNDS = f"""{_TURNS}
INSERT INTO sample (task, role, phase, round, t_s, seconds, wall_s, clock, steps, {_LOADS})
SELECT task, role, phase, round + 3 * n, t_s + 3.0 * n, seconds * {_WOBBLE}, wall_s * {_WOBBLE},
       clock, steps, {_LOADS}
FROM turn, old ORDER BY n, old.id"""
# An attached program's batches: one prefill, then DECODES rows of decode steps.
_WINDOWS = f"""{_TURNS},
part(k) AS (SELECT 1 UNION ALL SELECT k + 1 FROM part WHERE k < {{decodes}})
INSERT INTO sample (task, role, phase, round, t_s, seconds, wall_s, clock, steps, {_LOADS})
SELECT 'attached-' || (batch + 2 * n) || '/' || k, 'attached', phase, 0, t_s + 3.0 * n,
       seconds * {_WOBBLE}, wall_s * {_WOBBLE}, clock, steps, {_LOADS}
FROM turn, (SELECT *, CAST(substr(task, 8) AS INTEGER) AS batch FROM old) AS old, part
WHERE phase = 'decode' OR k = 1 ORDER BY n, batch, phase DESC, k"""
_REQUESTS = f"""{_TURNS}
INSERT INTO request (task, batch, prompt_tokens, output_tokens, prefix_id, prefix_tokens,
                     ttft_s, e2e_s)
SELECT 'attached-' || (batch + 2 * n), batch + 2 * n, prompt_tokens,
       1 + {{decodes}} * (output_tokens - 1), prefix_id, prefix_tokens, ttft_s, e2e_s
FROM turn, (SELECT * FROM request WHERE batch < 2) AS old ORDER BY n, old.id"""
DECODES = 15


def opened(path: Path) -> closing[sqlite3.Connection]:
    """For writing much at once into a file that is thrown away where that fails."""
    db = sqlite3.connect(path)
    for pragma in ("journal_mode = OFF", "synchronous = OFF", "cache_size = -400000"):
        db.execute(f"PRAGMA {pragma}")
    return closing(db)


def write_many_rounds(path: Path, samples: int) -> Path:
    """About so many samples: the step probes and the replay in very many rounds."""
    write_run(path)
    with opened(path) as db, db:
        db.execute("CREATE TEMP TABLE old AS SELECT * FROM sample WHERE round = 0")
        (each,) = db.execute("SELECT count(*) FROM old").fetchone()
        db.execute("DROP INDEX sample_task")  # made anew behind the rows: in a third of the time
        db.execute(_ROUNDS.format(turns=samples // each))
        db.execute("CREATE INDEX sample_task ON sample (task, round)")
    return path


def write_long_attached(path: Path, samples: int) -> Path:
    """About so many samples as an attached program leaves them: each its own task, no probes."""
    write_run(path)
    with opened(path) as db, db:
        sql = "CREATE TEMP TABLE old AS SELECT * FROM sample WHERE role = 'replay' AND round = 0"
        db.execute(sql)
        db.execute("DELETE FROM sample")
        db.execute("DROP INDEX sample_task")  # made anew behind the rows: in a third of the time
        turns = samples // (2 + 2 * DECODES)
        db.execute(_WINDOWS.format(turns=turns, decodes=DECODES))
        db.execute("CREATE INDEX sample_task ON sample (task, round)")
        db.execute(_REQUESTS.format(turns=turns, decodes=DECODES))
        db.execute("DELETE FROM request WHERE batch < 2")
        db.execute("UPDATE meta SET value = ? WHERE key = 'kind'", (json.dumps("attached"),))
    return path


def add_gauges(path: Path, readings: int) -> Path:
    """A busy meter, with one lone spike that no thinning may lose."""
    with opened(path) as db, db:
        db.execute(
            f"{_TURNS.format(turns=readings)} INSERT INTO gauge (t_s, meter, name, value, unit) "
            "SELECT n * 0.01, 'host', 'cpu.busy', 0.4 + 0.1 * ((n * 7919) % 1000) / 1000.0, 'share'"
            " FROM turn"
        )
        db.execute("UPDATE gauge SET value = 0.987 WHERE id = ?", (readings // 3,))
    return path
