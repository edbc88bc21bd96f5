"""What the instruments of a recording cost a decode step: with them and without, A-B-B-A."""

from __future__ import annotations

import math
from contextlib import ExitStack, contextmanager, nullcontext
from typing import TYPE_CHECKING

from costaudit.ground.stats import median
from costaudit.record.meters.host import HostMeter
from costaudit.record.meters.nvml import NvmlMeter, open_nvml
from costaudit.record.meters.nvtx_ranges import PhaseRanges
from costaudit.record.meters.sampler import Sampler
from costaudit.record.meters.torch_memory import TorchMemoryMeter, open_torch_memory
from costaudit.recording.recording import Recording
from gpu.rows import Row
from gpu.steps import STATIC

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from contextlib import AbstractContextManager

    from costaudit.record.engines.engine import LocalEngine, PreparedSteps
    from costaudit.record.meters.meter import Meter
    from gpu.bed import Bed

BAR = 0.005
ROUNDS = 6  # of four turns
_STEPS = 16


def rows(bed: Bed) -> Iterator[Row]:
    """Median over rounds of the wall time with the sampler, its meters and NVTX over that without.

    Steps are launched kernel by kernel: Python competes with the sampler there, and nowhere else.
    """
    with ExitStack() as stack:
        bare, told = (
            stack.enter_context(bed.engine(STATIC, ranges=ranges))
            for ranges in (None, PhaseRanges())
        )
        pairs = [(engine, _prepared(bed, engine)) for engine in (bare, told)]
        meters = _meters(bed)
        for meter in meters:
            stack.callback(meter.close)
        kept = Recording.create(bed.folder / "overhead.costaudit")
        stack.callback(kept.close)

        @contextmanager
        def watched() -> Iterator[None]:
            with Sampler(meters, lambda rows: kept.add(*rows), kept.clock_s):
                yield

        logs = _logs(bed, pairs, (nullcontext, watched))
    yield Row(
        what="instruments on over off, wall time of decode steps",
        value=math.expm1(median(logs)),
        high=BAR,
        why=f"{len(logs)} rounds A-B-B-A, {min(map(math.expm1, logs)):+.2%} to "
        f"{max(map(math.expm1, logs)):+.2%}",
    )


def _logs(
    bed: Bed,
    pairs: Sequence[tuple[LocalEngine, PreparedSteps]],
    around: Sequence[Callable[[], AbstractContextManager[None]]],
) -> list[float]:
    """ln(on / off) of each round; `pairs` and `around` hold the side without, then the one with."""
    for engine, prepared in pairs:
        _wall_s(bed, engine, prepared)  # cold
    logs = []
    for number in range(1 if bed.rehearsal else ROUNDS):
        spent = [0.0, 0.0]
        for side in (0, 1, 1, 0) if number % 2 == 0 else (1, 0, 0, 1):
            with around[side]():
                spent[side] += _wall_s(bed, *pairs[side])
        logs.append(math.log(spent[1] / spent[0]))
    return logs


def _prepared(bed: Bed, engine: LocalEngine) -> PreparedSteps:
    return engine.prepare_decode(seqs=1, context_tokens=bed.sizes.context // 8, steps=_STEPS)


def _wall_s(bed: Bed, engine: LocalEngine, prepared: PreparedSteps) -> float:
    """Wall seconds per step over a piece that the sampler looks at several times."""
    total, steps = 0.0, 0
    while total < bed.sizes.span_s:
        prepared.reset()
        total += engine.timed(prepared.run).wall_s
        steps += prepared.steps
    return total / steps


def _meters(bed: Bed) -> list[Meter]:
    found: list[Meter] = [HostMeter()]
    if not bed.rehearsal:
        import torch  # noqa: PLC0415 - late, as everywhere

        opened = [
            open_nvml(str(torch.cuda.get_device_properties(0).uuid)),
            open_torch_memory(bed.device),
        ]
        found += [m for m in opened if isinstance(m, (NvmlMeter, TorchMemoryMeter))]
    return found
