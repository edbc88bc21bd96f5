"""GPU-seconds by cause, then dollars; closed: the slices sum to the whole."""
