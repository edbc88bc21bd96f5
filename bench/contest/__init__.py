"""What lets load tools be held against a server that knows the truth, one after the other."""

import sys
from pathlib import Path

# `parts`, which installs what is real and keeps it, is shared with the tests.
sys.path.append(str(Path(__file__).resolve().parents[2] / "tests"))
