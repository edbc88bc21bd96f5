"""Records one target from loading to the last sample, and goes on where a run was stopped.

A run is a list of tasks in the recording; each is done in one transaction with its rows, so that
a killed run goes on with the first task that is not done. Facts by subject:

target, model, knob   the target (`recording.target_facts.target_of` reads them back)
device                name, kind, count, memory_bytes, peak_flops, peak_flops/<dtype>,
                      int8_speedup {decode, prefill}, low_bit_speedup/<format> {<rows>: ratio},
                      peak_copy_bytes_per_s, peak_read_bytes_per_s, peak_bandwidth_bytes_per_s,
                      datasheet_flops, datasheet_bandwidth_bytes_per_s
host, versions, gpu   the machine and its software
kv                    bytes_per_token, bytes_per_token_formula, element_bytes, budget_bytes,
                      weights_bytes, activations_bytes, memory_used_bytes, capacity_tokens,
                      waste_share {static, dynamic, paged}, usage_peak_share,
                      ramp/<seqs> {seqs, tokens, bytes, memory_used_bytes, s}, ramp_ended,
                      ramp_context_tokens, max_concurrency
design                rounds, limits, warm_up
workload              probe, stands_for, slo, load, [declared_]prompt_tokens and _output_tokens
                      {mean, p50, p95}, prefix_share, requests, declared_requests, arrival_s,
                      batch_size, scale, seed; the reasons stand in `why`
replay                token_s/<task> (when each token of a batch was there), pace_s/<task> (the
                      machine's, before and after it), itl_s {p50 … samples},
                      envelope_s {<batch>: {prefill, decode}} (each step at its fastest round)
ladder                scale, token_s/<task>
span                  prefill, decode: the driver's counters over a second of one step
"""

from __future__ import annotations

import gc
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import costaudit
from costaudit.ground.errors import UsageError
from costaudit.probe.workload import load_workload
from costaudit.record import about
from costaudit.record.captures.nsys import captured
from costaudit.record.keeping import Tell, keep
from costaudit.record.meters.host import HostMeter
from costaudit.record.meters.nvml import NvmlMeter, open_nvml
from costaudit.record.meters.nvtx_counters import CounterTracks
from costaudit.record.meters.nvtx_ranges import PhaseRanges
from costaudit.record.meters.sampler import Sampler
from costaudit.record.meters.torch_memory import open_torch_memory
from costaudit.record.options import (
    Listener,
    ProfileOptions,
    check_options,
    from_meta,
    settled,
    to_meta,
)
from costaudit.record.run import Run, device_of
from costaudit.record.steps import warm_up
from costaudit.record.tasks import DOING, STAGES, first_tasks
from costaudit.recording.recording import Recording
from costaudit.recording.rows import Fact, Instrument, State, Task
from costaudit.recording.target_facts import target_of

if TYPE_CHECKING:
    from pathlib import Path

    from costaudit.record.engines.engine import LocalEngine
    from costaudit.record.meters.meter import Meter
    from costaudit.recording.rows import Gauge

Opener = Callable[[ProfileOptions, PhaseRanges], "LocalEngine"]


def open_engine(options: ProfileOptions, ranges: PhaseRanges) -> LocalEngine:
    """The engine of an in-process target.

    Raises:
        UsageError: torch is not installed, or a flag or the target's name is wrong.
        TargetError: the target is no causal language model, is damaged, or does not fit.
    """
    from costaudit.record.engines.open_local import open_local

    return open_local(
        options.target,
        device=options.device,
        dtype=options.dtype,
        dummy_weights=options.dummy_weights,
        trust_remote_code=options.trust_remote_code,
        revision=options.revision,
        ranges=ranges,
        settings=options.settings,
    )


def record_profile(
    options: ProfileOptions,
    *,
    progress: Listener,
    opener: Opener = open_engine,
    command: str = "",
) -> Path:
    """Record a target into a new file at `options.path`; returns the path.

    `command` is the command line that asked for it, without secrets; "" where there was none.

    Raises:
        UsageError: an option is wrong, or the file cannot be written (before anything runs).
        TargetError: the target is none, or failed; samples taken before are kept.
        NothingRecordedError: it failed before the first sample; no file is left.
        InterruptedRunError: Ctrl-C; samples taken before are kept, and the hint says how to go on.
    """
    check_options(options)
    options = settled(options)
    load_workload(options.probe)  # before a file is made
    recording = Recording.create(options.path)
    recording.set_meta(
        kind="profile",
        options=to_meta(options),
        command=command,
        costaudit=costaudit.__version__,
        created=datetime.now(UTC).isoformat(timespec="seconds"),
    )
    recording.plan(first_tasks(options))
    return keep(
        recording, options.path, progress, lambda tell: _work(recording, options, tell, opener)
    )


def resume_profile(path: Path, *, progress: Listener, opener: Opener = open_engine) -> Path:
    """Go on with a recording that was stopped or killed; what is done is not done again.

    Raises:
        UsageError: it is no recording of a profile, or was made of another target or device.
        TargetError, InterruptedRunError: as for `record_profile`.
    """
    recording = Recording.resume(path)
    try:
        options = from_meta(recording.meta().get("options"), path)
        recording.plan(first_tasks(options))  # it may have been killed before it had a plan
    except BaseException:
        recording.close()
        raise
    return keep(
        recording, options.path, progress, lambda tell: _work(recording, options, tell, opener)
    )


def _work(
    recording: Recording,
    options: ProfileOptions,
    tell: Tell,
    opener: Opener,
) -> None:
    """Open everything, then do the tasks that are not done, in order."""
    pending = [task for task in recording.tasks() if not task.done]
    if not pending:
        return
    tell(0.0, "loading the model", None)
    workload, ranges = load_workload(options.probe), PhaseRanges()
    with ExitStack() as stack:
        engine = opener(options, ranges)
        stack.callback(engine.close)
        _check_same(recording, engine)
        meters = _meters(engine)
        for meter in meters:
            if not isinstance(meter, Instrument):
                stack.callback(meter.close)
        live: list[Meter] = [meter for meter in meters if not isinstance(meter, Instrument)]
        gpu = next((meter for meter in live if isinstance(meter, NvmlMeter)), None)
        run = Run(recording=recording, engine=engine, options=options, workload=workload, gpu=gpu)
        tracks = CounterTracks()
        recording.add(*about.about_meters(meters, ranges), tracks.state)
        tell(0.0, "warming up", _left_s(pending))
        warm_s, steady = warm_up(engine)
        settled = {"seconds": warm_s, "steady": steady}
        recording.add(Fact(subject="design", name="warm_up", value=settled))
        stack.enter_context(Sampler(live, _kept(recording, tracks), recording.clock_s))
        stack.enter_context(_no_collection())
        stack.enter_context(captured())
        _do_tasks(run, tell)
        recording.add(*(state for meter in live for state in meter.instruments()))
    tell(1.0, "recorded", 0.0)


def _kept(
    recording: Recording, tracks: CounterTracks
) -> Callable[[Sequence[Gauge | Instrument]], None]:
    """What becomes of the sampler's rows: they go into the file, and to whoever listens by NVTX."""

    def keep_rows(rows: Sequence[Gauge | Instrument]) -> None:
        recording.add(*rows)
        tracks.show(rows)

    return keep_rows


def _do_tasks(run: Run, tell: Tell) -> None:
    """Task by task; each may plan more behind itself."""
    shown = 0.0
    while pending := [task for task in run.recording.tasks() if not task.done]:
        left_s = _left_s(pending)
        spent_s = run.recording.clock_s()
        shown = max(shown, spent_s / (spent_s + left_s))
        tell(shown, DOING[pending[0].kind], left_s)
        STAGES[pending[0].kind](run, pending[0])


def _left_s(pending: Sequence[Task]) -> float:
    """Device seconds of what is planned; stages that are not planned yet stand as one task."""
    estimates = (task.spec.get("est_s") for task in pending)
    return sum(s for s in estimates if isinstance(s, (int, float)))


def _check_same(recording: Recording, engine: LocalEngine) -> None:
    """A resumed run must measure what it measured before.

    Raises:
        UsageError: another model, or another device.
    """
    facts = recording.facts()
    if "device" not in facts:
        return
    before, now = target_of(facts), engine.target
    if (before.shape, before.dtype) != (now.shape, now.dtype):
        raise UsageError(f"{recording.path} was recorded of another model or dtype")
    name = about.device_name(device_of(engine))
    if facts["device"]["name"].value != name:
        raise UsageError(
            f"{recording.path} was recorded on {facts['device']['name'].value}, this is {name}",
            hint="go on with it on the same device, or record anew",
        )


def _meters(engine: LocalEngine) -> list[Meter | Instrument]:
    """The host's meter; on a GPU the driver's and the allocator's too, or why they are absent."""
    if engine.device_kind == "cpu":
        off = Instrument(meter="nvml", state=State.OFF, why="the target runs on the CPU")
        return [HostMeter(), off, open_torch_memory("cpu")]
    import torch

    device = device_of(engine)
    uuid = str(torch.cuda.get_device_properties(device).uuid)
    return [HostMeter(), open_nvml(uuid), open_torch_memory(device)]


@contextmanager
def _no_collection() -> Iterator[None]:
    """Keep Python's cyclic collector out of timed pieces."""
    was = gc.isenabled()
    gc.collect()
    gc.disable()
    try:
        yield
    finally:
        if was:
            gc.enable()
