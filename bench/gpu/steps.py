"""Single steps beside the measured peaks: MBU of decode, MFU of prefill, and the classic trials."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from costaudit.record.options import EngineSettings
from costaudit.record.steps import once
from costaudit.target import work
from gpu.rows import Row

if TYPE_CHECKING:
    from collections.abc import Iterator

    from costaudit.record.engines.engine import LocalEngine, PreparedSteps
    from gpu.bed import Bed

MBU_BAR, MFU_BAR = 0.80, 0.60
STATIC = EngineSettings(cache="static")
CAPTURED = replace(STATIC, graphs="captured")
_DECODE_STEPS = 16


def phases(bed: Bed) -> Iterator[Row]:
    """Decode MBU at batch 1, run kernel by kernel, captured and compiled; MFU of one prompt."""
    ways = {"kernel by kernel": "off", "captured as a CUDA graph": "captured",
            "compiled and captured": "compiled"}  # fmt: skip
    if bed.rehearsal:
        ways = {"kernel by kernel": "off", "over fixed buffers": "captured"}
    reached: list[float] = []
    for way, graphs in ways.items():
        what = f"decode MBU, batch 1, {way}"
        try:
            with bed.engine(replace(STATIC, graphs=graphs)) as engine:
                mbu = decode_mbu(bed, engine)
        except (
            RuntimeError
        ) as err:  # of torch's compiler, which wants a C compiler, or of a capture
            yield Row(
                what=what, value=None, why=" ".join(f"{type(err).__name__}: {err}".split())[:200]
            )
            continue
        reached.append(mbu)
        yield Row(what=what, value=mbu)
    best, why = max(reached, default=None), "" if reached else "no way of running it worked"
    what = "decode MBU, batch 1, of the measured copy"
    yield Row(what=what, value=best, low=MBU_BAR, why=why)
    with bed.engine() as engine:
        prompt = bed.sizes.prompt
        prefill = engine.prepare_prefill(seqs=1, new_tokens=prompt, cached_tokens=0)
        flops = work.prefill_flops(engine.target.known_shape, prefill.load)
        mfu = flops / step_s(engine, prefill, bed.sizes.repeats) / bed.peaks["peak_flops"]
    yield Row(what=f"prefill MFU, {prompt} tokens, of the GEMM", value=mfu, low=MFU_BAR)


def decode_mbu(bed: Bed, engine: LocalEngine) -> float:
    """Bytes of weights and cache that a step must read, over its time and the copy's rate."""
    shape, element = engine.target.known_shape, element_bytes(bed)
    decode = engine.prepare_decode(
        seqs=1, context_tokens=max(1, bed.sizes.context // 32), steps=_DECODE_STEPS
    )
    moved = work.weight_bytes(shape, 1, element) + work.decode_kv_bytes(shape, decode.load, element)
    seconds = step_s(engine, decode, bed.sizes.repeats)
    return moved / seconds / bed.peaks["peak_copy_bytes_per_s"]


def classics(bed: Bed) -> Iterator[Row]:
    """One prompt against eight identical ones, then one very long prompt."""
    tokens, long = bed.sizes.shared_prompt, bed.sizes.long_prompt
    with bed.engine() as engine:
        one, eight, last = (
            step_s(
                engine,
                engine.prepare_prefill(seqs=seqs, new_tokens=new, cached_tokens=cached),
                bed.sizes.repeats,
            )
            for seqs, new, cached in ((1, tokens, 0), (8, tokens, 0), (7, 1, tokens - 1))
        )
        yield Row(what=f"one prompt of {tokens} tokens", value=one, unit="s")
        yield Row(what="eight identical ones together, over one", value=eight / one, unit="x")
        yield Row(
            what="the same behind a shared prefix, over one",
            value=(one + last) / one,
            unit="x",
            why="one prompt, then the last token of seven",
        )
        prepared = engine.prepare_prefill(seqs=1, new_tokens=long, cached_tokens=0)
        seconds = step_s(engine, prepared, 2)
        shape = engine.target.known_shape
        flops = work.prefill_flops(shape, prepared.load)
        yield Row(what=f"one prompt of {long} tokens", value=seconds, unit="s")
        yield Row(what="its time per token over the short one's",
                  value=seconds / long / (one / tokens), unit="x")  # fmt: skip
        yield Row(what="its MFU", value=flops / seconds / bed.peaks["peak_flops"])


def element_bytes(bed: Bed) -> float:
    """Bytes of a weight and of a cache element."""
    return {"bfloat16": 2.0, "float32": 4.0}[bed.sizes.dtype]


def step_s(engine: LocalEngine, prepared: PreparedSteps, repeats: int) -> float:
    """Seconds of one step, the fastest of several runs; the first, cold one does not count."""
    once(engine, prepared)
    return min(once(engine, prepared).seconds for _ in range(repeats)) / prepared.steps
