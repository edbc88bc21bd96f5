"""The CI budget gate: passed, broken, or inconclusive."""
