"""Captures of other profilers as recordings: Nsight Systems exports, torch.profiler traces."""
