"""What bench/gpu_check.py measures, one subject per file."""
