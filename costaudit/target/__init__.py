"""What is audited: the shape of a model, the work of one step, what was discovered of an engine."""
