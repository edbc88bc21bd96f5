"""What the plain loop moves: blocks of KV memory, and requests on their way."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(eq=False)
class Block:
    key: object = None
    users: int = 0


@dataclass(eq=False)
class Row:
    order: int
    request: object
    arrival_s: float
    target: int
    before: int = 0  # tokens cached when it began to decode, or of its prompt so far
    rounds: int = 0
    emitted: int = 0
    was_computed: int = 0
    entered: bool = False
    apart: bool = False
    blocks: list = field(default_factory=list)
    times: list = field(default_factory=list)
    gaps: list = field(default_factory=list)
    keys: list = field(default_factory=list)
