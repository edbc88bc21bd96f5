"""The decision for machines of a CI system: one form per file."""
