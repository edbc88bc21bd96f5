"""One run while it lasts: what every piece of recording works with."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from costaudit.recording.rows import Phase, Role, Sample

if TYPE_CHECKING:
    from costaudit.probe.workload import Workload
    from costaudit.record.engines.engine import LocalEngine, PreparedSteps, Timing
    from costaudit.record.meters.nvml import NvmlMeter
    from costaudit.record.options import ProfileOptions
    from costaudit.recording.recording import Recording
    from costaudit.target.load import StepLoad

# Parts of the time budget, by what was worth it on the demo; the rest is loading and planning.
PEAKS_SHARE, STEPS_SHARE, LADDER_SHARE, REPLAY_SHARE, PRESSURE_SHARE = 0.05, 0.35, 0.06, 0.40, 0.08

DEFAULT_BATCH = 8  # where the workload has arrivals and no concurrency


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """The open recording and engine of a run. `prepared` keeps the states of step probes."""

    recording: Recording
    engine: LocalEngine
    options: ProfileOptions
    workload: Workload
    gpu: NvmlMeter | None = None
    prepared: dict[str, PreparedSteps] = field(default_factory=dict)

    @property
    def batch_size(self) -> int:
        """Sequences per static batch: asked for, or the workload's concurrency."""
        return self.options.batch_size or self.workload.concurrency or DEFAULT_BATCH

    def fact(self, subject: str, name: str) -> object:
        """The value of a fact recorded earlier; None where there is none."""
        found = self.recording.facts().get(subject, {}).get(name)
        return found.value if found else None


def device_of(engine: LocalEngine) -> str:
    """The torch device that the engine computes on, such as "cpu" or "cuda:0"."""
    knob = engine.target.knobs.get("device")
    return str(knob.value) if knob and knob.value else engine.device_kind


def sample(
    *,
    task: str,
    role: Role,
    phase: str,
    round_number: int,
    t_s: float,
    timing: Timing,
    load: StepLoad,
    steps: int,
) -> Sample:
    """A row for a span that began at `t_s`; times and load as they stand in the arguments."""
    return Sample(
        task=task,
        role=role,
        phase=Phase(phase),
        round=round_number,
        t_s=t_s,
        seconds=timing.seconds,
        wall_s=timing.wall_s,
        clock=timing.clock,
        steps=steps,
        prefill_tokens=load.prefill_tokens,
        prefill_pairs=load.prefill_pairs,
        prefill_seqs=load.prefill_seqs,
        decode_seqs=load.decode_seqs,
        decode_context_tokens=load.decode_context_tokens,
    )
