"""One SQLite file per run: everything that was observed, raw, append-only."""
