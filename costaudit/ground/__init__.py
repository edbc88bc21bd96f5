"""Errors, statistics, TOML reading, shipped files: no word of the trade."""
