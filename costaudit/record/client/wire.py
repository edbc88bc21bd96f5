"""What the client does for each event of a stream: compiled where that could be, else in Python.

Both are the same to whoever uses them. `_native` is made of `native/*.c` when costaudit is
installed, if there is a C compiler.
"""

from __future__ import annotations

from costaudit.record.client.bodies import stamped, whole_chunks
from costaudit.record.client.inbox import Inbox
from costaudit.record.client.poller import Poller

__all__ = ["COMPILED", "Inbox", "Poller", "stamped", "whole_chunks"]

COMPILED = False
try:
    from costaudit.record.client import _native
except ImportError:
    pass
else:
    COMPILED = True
    Inbox, Poller = _native.Inbox, _native.Poller  # type: ignore[misc,assignment]
    stamped, whole_chunks = _native.stamped, _native.whole_chunks
