"""Load tools that measure LLM servers, one file each; a file that is put here takes part."""

from __future__ import annotations

from importlib import import_module
from pkgutil import iter_modules
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from contest.peer import Peer


def every_peer() -> list[Peer]:
    """All of them, by name."""
    modules = [import_module(f"peers.{found.name}") for found in iter_modules(__path__)]
    return sorted((module.PEER for module in modules), key=lambda peer: peer.name)
