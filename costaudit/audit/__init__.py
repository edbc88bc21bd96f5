"""Joins everything below into the Audit document, the one thing that renderers read."""
