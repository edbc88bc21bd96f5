"""Declared workloads: TOML files that say what they stand for, and the step probes' design."""
