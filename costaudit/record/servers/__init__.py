"""Servers as targets: what they are, how they are probed, and where probing stops."""
