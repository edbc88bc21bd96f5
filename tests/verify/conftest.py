"""Situations are built as the playbook's tests build them."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.append(str(Path(__file__).parents[1] / "playbook"))
