"""DRAM bytes of a decode and a prefill step three ways: by formula, by NVML's GPM, by ncu."""

from __future__ import annotations

from contextlib import closing
from typing import TYPE_CHECKING

from costaudit.record.meters.nvml import NvmlMeter, open_nvml
from costaudit.record.steps import once
from costaudit.target import work
from gpu import ncu
from gpu.bed import Bed, written
from gpu.kernel_bytes import bytes_of
from gpu.recorded import BYTES_BARS
from gpu.rows import Row
from gpu.steps import CAPTURED, STATIC, element_bytes

if TYPE_CHECKING:
    from collections.abc import Iterator

    from costaudit.record.engines.engine import LocalEngine, PreparedSteps

PHASES = ("decode", "prefill")
_COPY_BYTES = 4 << 30


def rows(bed: Bed, ncu_s: float) -> Iterator[Row]:
    """Each instrument over the formula, and GPM over ncu; `ncu_s` for each run of that."""
    yield from _copy(bed)
    for phase in PHASES:
        by_gpm, why_gpm = _by_gpm(bed, phase)
        by_ncu, why_ncu = _by_ncu(bed, phase, ncu_s)
        bar = BYTES_BARS[phase]
        yield Row(what=f"{phase}: DRAM bytes by GPM over the analytic ones", value=by_gpm, unit="x",
                  low=1 - bar, high=1 + bar, why=why_gpm)  # fmt: skip
        yield Row(what=f"{phase}: dram__bytes of Nsight Compute over the same", value=by_ncu,
                  unit="x", low=1 - bar, high=1 + bar, why=why_ncu)  # fmt: skip
        both = by_gpm / by_ncu if by_gpm and by_ncu else None
        why = "" if both else "one of the two is missing"
        yield Row(what=f"{phase}: GPM over Nsight Compute", value=both, unit="x", why=why)


def analytic_bytes(bed: Bed, engine: LocalEngine, phase: str, prepared: PreparedSteps) -> float:
    """Of one step: weights and KV cache in decode, all kernels' in prefill."""
    if phase == "decode":
        shape, element = engine.target.known_shape, element_bytes(bed)
        return work.weight_bytes(shape, 1, element) + work.decode_kv_bytes(
            shape, prepared.load, element
        )
    prepared.reset()
    return bytes_of(prepared.run, _l2_bytes(bed)) / prepared.steps


def prepared_for(bed: Bed, engine: LocalEngine, phase: str, steps: int) -> PreparedSteps:
    """The step that all three look at."""
    if phase == "decode":
        return engine.prepare_decode(seqs=1, context_tokens=bed.sizes.context, steps=steps)
    return engine.prepare_prefill(seqs=1, new_tokens=bed.sizes.prompt, cached_tokens=0)


def _by_gpm(bed: Bed, phase: str) -> tuple[float | None, str]:
    """(Measured over analytic bytes, why there are none), over a span of equal steps."""
    with bed.engine(STATIC) as engine:
        analytic = analytic_bytes(bed, engine, phase, prepared_for(bed, engine, phase, 1))
    with _meter(bed) as meter, bed.engine(CAPTURED) as engine:
        if isinstance(meter, _None):
            return None, meter.why
        prepared = prepared_for(bed, engine, phase, 16 if phase == "decode" else 1)
        once(engine, prepared)
        steps = 0
        with meter.span() as span:
            while not span.enough():
                once(engine, prepared)
                steps += prepared.steps
    seen = span.reading
    if seen is None or seen.dram_bytes is None or seen.bandwidth_tier != "T1":
        return None, seen.why if seen else "no span was read"
    return seen.dram_bytes / steps / analytic, ""


def _by_ncu(bed: Bed, phase: str, seconds: float) -> tuple[float | None, str]:
    """The same of a model of fewer layers: ncu runs each kernel alone, which takes long."""
    few = {**bed.sizes.config, "num_hidden_layers": bed.sizes.traced_layers}
    small = Bed(bed.sizes, bed.folder / "traced", bed.device)
    small.folder.mkdir(exist_ok=True)
    small.target = written(small.folder / "few-layers", few)
    try:
        told = ncu.counted(
            small.target, phase, bed.sizes.prompt, bed.sizes.context, seconds=seconds
        )
    except ncu.NcuError as err:
        return None, str(err)
    with small.engine(STATIC) as engine:
        analytic = analytic_bytes(small, engine, phase, prepared_for(small, engine, phase, 1))
    return told.bytes / analytic, f"{told.kernels} kernels of {bed.sizes.traced_layers} layers"


def _copy(bed: Bed) -> Iterator[Row]:
    """GPM over a copy whose bytes are known: what to make of GPM elsewhere."""
    import torch  # noqa: PLC0415 - late, as everywhere

    what = "a copy of known bytes: GPM over truth"
    with _meter(bed) as meter:
        if isinstance(meter, _None):
            yield Row(what=what, value=None, why=meter.why)
            return
        source = torch.randn(_COPY_BYTES // 4, device=bed.device)
        target = torch.empty_like(source)
        copies = 0
        with meter.span() as span:
            while not span.enough():
                target.copy_(source)
                torch.cuda.synchronize()
                copies += 1
    seen = span.reading
    known = None if seen is None or seen.dram_bytes is None else seen.dram_bytes
    yield Row(
        what=what,
        value=None if known is None else known / (copies * 2 * _COPY_BYTES),
        unit="x",
        why="" if known is not None or seen is None else seen.why,
    )


class _None:
    """No meter, and why."""

    def __init__(self, why: str) -> None:
        self.why = why

    def close(self) -> None:
        """Nothing was opened."""


def _meter(bed: Bed) -> closing[NvmlMeter | _None]:
    if bed.rehearsal:
        return closing(_None("a rehearsal asks no driver"))
    import torch  # noqa: PLC0415 - late, as everywhere

    opened = open_nvml(str(torch.cuda.get_device_properties(0).uuid))
    return closing(opened if isinstance(opened, NvmlMeter) else _None(opened.why))


def _l2_bytes(bed: Bed) -> int:
    if bed.rehearsal:
        return 0
    import torch  # noqa: PLC0415 - late, as everywhere

    return int(torch.cuda.get_device_properties(0).L2_cache_size)
