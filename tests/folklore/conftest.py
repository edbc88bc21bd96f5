"""Claims are tried on the situations of the playbook's cases."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "playbook"))
