-- A costaudit recording, schema 2 (1 had no answers). Append-only while a run lasts; WAL; one commit per sample.
CREATE TABLE meta (
    key   TEXT PRIMARY KEY,
    value TEXT NOT NULL                 -- JSON
) WITHOUT ROWID;

CREATE TABLE task (
    id    TEXT PRIMARY KEY,
    seq   INTEGER NOT NULL,
    kind  TEXT NOT NULL,
    spec  TEXT NOT NULL,                -- JSON
    done  INTEGER NOT NULL DEFAULT 0
);

CREATE TABLE fact (
    id      INTEGER PRIMARY KEY,
    subject TEXT NOT NULL,
    name    TEXT NOT NULL,
    value   TEXT NOT NULL,              -- JSON; null is unknown, see why
    unit    TEXT NOT NULL,
    origin  TEXT NOT NULL,
    why     TEXT NOT NULL
);

CREATE TABLE instrument (
    id    INTEGER PRIMARY KEY,
    meter TEXT NOT NULL,
    state TEXT NOT NULL,
    tier  TEXT NOT NULL,
    why   TEXT NOT NULL
);

CREATE TABLE sample (
    id      INTEGER PRIMARY KEY,
    task    TEXT NOT NULL,
    role    TEXT NOT NULL,
    phase   TEXT NOT NULL,
    round   INTEGER NOT NULL,
    t_s     REAL NOT NULL,              -- since the recording began
    seconds REAL NOT NULL,              -- device time, by `clock`
    wall_s  REAL NOT NULL,
    clock   TEXT NOT NULL,
    steps   INTEGER NOT NULL,
    prefill_tokens        REAL NOT NULL,
    prefill_pairs         REAL NOT NULL,
    prefill_seqs          REAL NOT NULL,
    decode_seqs           REAL NOT NULL,
    decode_context_tokens REAL NOT NULL
);
CREATE INDEX sample_task ON sample (task, round);

CREATE TABLE request (
    id            INTEGER PRIMARY KEY,
    task          TEXT NOT NULL,
    batch         INTEGER NOT NULL,
    prompt_tokens INTEGER NOT NULL,
    output_tokens INTEGER NOT NULL,
    prefix_id     INTEGER,
    prefix_tokens INTEGER NOT NULL,
    ttft_s        REAL,
    e2e_s         REAL
);

CREATE TABLE answer (
    id             INTEGER PRIMARY KEY,
    task           TEXT NOT NULL,       -- the rung it belongs to
    number         INTEGER NOT NULL,
    intended_s     REAL NOT NULL,       -- all seconds since the rung began
    sent_s         REAL NOT NULL,
    end_s          REAL NOT NULL,
    prompt_tokens  INTEGER,
    asked_tokens   INTEGER NOT NULL,
    output_tokens  INTEGER,
    cached_tokens  INTEGER,
    finish_reason  TEXT NOT NULL,
    status         INTEGER NOT NULL,
    error          TEXT NOT NULL,
    truncated      INTEGER NOT NULL,
    shared_events  INTEGER NOT NULL,
    lag_s          REAL,
    event_us       BLOB NOT NULL,       -- little-endian uint32, microseconds since sent_s
    event_tokens   BLOB NOT NULL        -- little-endian uint16; empty: one token each
);
CREATE INDEX answer_task ON answer (task, number);

CREATE TABLE gauge (
    id    INTEGER PRIMARY KEY,
    t_s   REAL NOT NULL,
    meter TEXT NOT NULL,
    name  TEXT NOT NULL,
    value REAL NOT NULL,
    unit  TEXT NOT NULL
);

CREATE TABLE trouble (
    id      INTEGER PRIMARY KEY,
    t_s     REAL NOT NULL,
    place   TEXT NOT NULL,
    message TEXT NOT NULL
);
