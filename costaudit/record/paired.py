"""Two models in this process, batch by batch in turns: a disturbance meets both.

Each round loads both anew, so that the luck of a load (where tensors come to lie) is drawn again,
and runs every batch of the workload A-B-B-A, the next round B-A-A-B: a drift then adds to both
sides alike. A side that batches continuously runs all batches as one stream, and so the turns are
over all of them. Seconds are the device's, as in a recording.
"""

from __future__ import annotations

import gc
import time
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from costaudit.ground.errors import TargetError, UsageError
from costaudit.probe.workload import load_workload
from costaudit.record.fitting import fit_workload, lengths_of
from costaudit.record.meters.nvtx_ranges import PhaseRanges
from costaudit.record.options import (
    AS_IT_COMES,
    DEMO_RUN,
    EngineSettings,
    ProfileOptions,
    Progress,
    check_settings,
)
from costaudit.record.paired_round import PairedRound, run_round
from costaudit.record.profile import open_engine
from costaudit.record.run import DEFAULT_BATCH, device_of
from costaudit.record.steps import once, warm_up

if TYPE_CHECKING:
    from collections.abc import Sequence

    from costaudit.record.engines.engine import LocalEngine
    from costaudit.record.fitting import Lengths
    from costaudit.record.options import Listener
    from costaudit.record.profile import Opener
    from costaudit.target.target import Target

FEWEST_ROUNDS = 4
_VISITS = 6  # of a batch per round: four turns, and each side once to warm up
_PACE_TOKENS, _PACE_STEPS = 64, 4
_HELD = (2, 64)  # sequences and tokens of the cache that is weighed


@dataclass(frozen=True, slots=True, kw_only=True)
class PairedOptions:
    """Which two targets, under which workload, how often and for how long.

    `seconds` of the device are spent over all rounds, loading not counted. `batches` are the
    (prompt, output) lengths to run, where they are known; else they are drawn from `probe`. See
    `ProfileOptions` for the rest.
    """

    base: str
    new: str
    probe: str = "chat"
    device: str = "auto"
    dtype: str = "auto"
    dummy_weights: bool = False
    trust_remote_code: bool = False
    batch_size: int | None = None
    rounds: int = 8
    seconds: float = 60.0
    scale: float | None = None
    requests: int | None = None
    seed: int = 0
    base_settings: EngineSettings = AS_IT_COMES
    new_settings: EngineSettings = AS_IT_COMES
    batches: tuple[Lengths, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Side:
    """One of the two targets: what it is, on what, and what its cache weighs per token."""

    target: Target
    device: str
    kv_bytes_per_token: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Paired:
    """Both sides, the rounds in order, and the workload that each turn ran."""

    base: Side
    new: Side
    rounds: tuple[PairedRound, ...]
    requests: int
    tokens: int
    wall_s: float


def record_paired(
    options: PairedOptions, *, progress: Listener, opener: Opener = open_engine
) -> Paired:
    """Run both targets in turns.

    Raises:
        UsageError: an option is wrong.
        TargetError: a target is none, failed, or both do not fit into the memory together.
    """
    if options.rounds < FEWEST_ROUNDS:
        raise UsageError(f"rounds = {options.rounds} is below {FEWEST_ROUNDS}")
    if not options.seconds > 0:
        raise UsageError(f"seconds = {options.seconds} is not above 0")
    for settings in (options.base_settings, options.new_settings):
        check_settings(settings)
    began = time.monotonic()
    batches: Sequence[Lengths] = options.batches
    rounds: list[PairedRound] = []
    sides: dict[str, Side] = {}
    for number in range(options.rounds):
        progress(_told(number, options.rounds, began))
        with ExitStack() as stack:
            engines = _opened(options, opener, stack, swapped=bool(number % 2))
            if not sides:
                for engine in engines.values():
                    warm_up(engine)  # later rounds find the device warm
                batches = batches or _batches(options, engines["base"])
                sides = {name: _side(engine) for name, engine in engines.items()}
            rounds.append(run_round(engines, batches, swapped=bool(number % 2)))
        gc.collect()
    progress(Progress(fraction=1.0, label="recorded", seconds_left=0.0))
    requests = [pair for batch in batches for pair in batch]
    return Paired(
        base=sides["base"],
        new=sides["new"],
        rounds=tuple(rounds),
        requests=len(requests),
        tokens=sum(prompt + output for prompt, output in requests),
        wall_s=time.monotonic() - began,
    )


def _told(number: int, rounds: int, began: float) -> Progress:
    spent_s = time.monotonic() - began
    left_s = spent_s / number * (rounds - number) if number else None
    label = f"round {number + 1} of {rounds}, both sides in turns"
    return Progress(fraction=number / rounds, label=label, seconds_left=left_s)


def _opened(
    options: PairedOptions, opener: Opener, stack: ExitStack, *, swapped: bool
) -> dict[str, LocalEngine]:
    """Both engines; the one loaded first changes from round to round."""
    engines: dict[str, LocalEngine] = {}
    for side in ("new", "base") if swapped else ("base", "new"):
        try:
            engine = opener(_profile(options, side), PhaseRanges())
        except TargetError as err:
            if not engines:
                raise
            hint = "where both do not fit at once, record each and give one as --baseline"
            raise TargetError(err.message, hint=err.hint or hint) from err
        stack.callback(engine.close)
        engines[side] = engine
    return engines


def _profile(options: PairedOptions, side: str) -> ProfileOptions:
    return ProfileOptions(
        target=options.base if side == "base" else options.new,
        path=Path(),
        device=options.device,
        dtype=options.dtype,
        dummy_weights=options.dummy_weights,
        trust_remote_code=options.trust_remote_code,
        **asdict(options.base_settings if side == "base" else options.new_settings),
    )


def _batches(options: PairedOptions, engine: LocalEngine) -> tuple[Lengths, ...]:
    """The workload's batches, as many as the seconds allow."""
    workload = load_workload(options.probe)
    demo = DEMO_RUN if options.base == "demo" else {}
    size = options.batch_size or demo.get("batch_size") or workload.concurrency or DEFAULT_BATCH
    token_s, step_s = _pace(engine, int(size))
    fitted = fit_workload(
        workload,
        max_context_tokens=engine.target.known_shape.max_context_tokens,
        batch_size=int(size),
        budget_s=options.seconds / options.rounds / _VISITS,
        batch_s=lambda lengths: _batch_s(lengths, token_s, step_s),
        seed=options.seed,
        scale=options.scale or demo.get("scale"),
        requests=options.requests,
    )
    return tuple(lengths_of(batch) for batch in fitted.batches(int(size)))


def _pace(engine: LocalEngine, size: int) -> tuple[float, float]:
    """Seconds of a prefilled token and of a decode step of `size` rows, roughly."""
    room = engine.target.known_shape.max_context_tokens // 2
    tokens = min(_PACE_TOKENS, room)
    prefill = engine.prepare_prefill(seqs=1, new_tokens=tokens, cached_tokens=0)
    steps = min(_PACE_STEPS, room)
    decode = engine.prepare_decode(seqs=size, context_tokens=tokens, steps=steps)
    token_s = min(once(engine, prefill).seconds for _ in range(2)) / tokens
    return token_s, min(once(engine, decode).seconds for _ in range(2)) / steps


def _batch_s(lengths: Sequence[tuple[int, int]], token_s: float, step_s: float) -> float:
    width, steps = max(p for p, _ in lengths), max(o for _, o in lengths) - 1
    return len(lengths) * width * token_s + steps * step_s


def _side(engine: LocalEngine) -> Side:
    seqs, tokens = _HELD
    tokens = min(tokens, engine.target.known_shape.max_context_tokens)
    held = engine.kv_bytes_held(seqs=seqs, tokens=tokens)
    return Side(
        target=engine.target, device=device_of(engine), kv_bytes_per_token=held / (seqs * tokens)
    )
