"""Parts of bench/gate.py."""
