"""More and more sequences in the KV cache until the device is nearly full; then one too many."""

from __future__ import annotations

from typing import TYPE_CHECKING

from costaudit.ground.errors import TargetError
from costaudit.record.engines.memory import memory_errors
from costaudit.record.steps import once
from costaudit.target.work import kv_bytes
from gpu.bed import GIB
from gpu.rows import Row
from gpu.steps import element_bytes

if TYPE_CHECKING:
    from collections.abc import Iterator

    from costaudit.record.engines.transformers_local import TransformersEngine
    from gpu.bed import Bed

_KEPT_FREE = 2.5 * GIB  # for logits, activations and the attention's workspace
_PARTS = (0.25, 0.5, 0.75, 1.0)  # of what is free


def rows(bed: Bed) -> Iterator[Row]:
    """Device memory in use at the top of the ramp, and whether a step too large only says so."""
    context = bed.sizes.context
    top, ended = 0, ""
    with bed.engine() as engine:
        shape = engine.target.known_shape
        # A growing cache holds one layer's states twice while it copies them.
        per_row = kv_bytes(shape, context + 1, element_bytes(bed)) * (1 + 2 / shape.layers)
        used, total = engine.memory_bytes()
        room = (16 << 20) if bed.rehearsal else max(total - used - _KEPT_FREE, per_row)
        for part in _PARTS:
            try:
                top = max(top, _rung(engine, max(1, int(room * part / per_row)), context))
            except TargetError as err:
                ended = f"ended at {part:.0%} of what was free: {err.message}"
                break
            finally:
                bed.free()
        yield Row(what="pressure ramp: device memory in use at its top", value=top / GIB,
                  unit="GiB", low=bed.sizes.ramp_bytes / GIB, why=ended)  # fmt: skip
        refused = _refused(bed, engine, int(2 * total / per_row) + 1)
        what = "a sequence too many is refused before it is tried"
        yield Row(what=what, value=float(refused), low=1)
        survived = _survived(bed, engine, total)
        what = "after the allocator gave up a step runs as before"
        yield Row(what=what, value=float(survived), low=1)


def _rung(engine: TransformersEngine, rows: int, context: int) -> int:
    prepared = engine.prepare_decode(seqs=rows, context_tokens=context, steps=1)
    once(engine, prepared)
    return engine.memory_bytes()[0]


def _refused(bed: Bed, engine: TransformersEngine, rows: int) -> bool:
    try:
        engine.prepare_decode(seqs=rows, context_tokens=bed.sizes.context, steps=1)
    except TargetError:
        return True
    return False


def _survived(bed: Bed, engine: TransformersEngine, total: int) -> bool:
    """Ask the allocator itself for more than there is; then run a step."""
    import torch  # noqa: PLC0415 - late, as everywhere

    try:
        with memory_errors("more than there is"):
            torch.empty(2**46 if bed.rehearsal else 2 * total, dtype=torch.uint8,
                        device=bed.device)  # fmt: skip
    except TargetError:
        bed.free()
        once(engine, engine.prepare_decode(seqs=1, context_tokens=bed.sizes.context, steps=1))
        return True
    return False
