"""The kinds of logs: one file each with a FORMAT, found by being there."""
