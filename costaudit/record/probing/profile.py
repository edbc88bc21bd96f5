"""Audits a running server: finds out what it is, probes it, and goes on where a run was stopped.

Beside the facts of `record.profile`, by subject:

server    base_url (no secrets), dialect, notes, evidence, max_context_tokens, parallelism,
          canary {prompt_tokens, output_tokens, exact_prompt, exact_output, …}, limits, stopped,
          front_end_s: of a question that generates nothing
kv        what the server tells of its cache (tokens_total, blocks_total, block_size_tokens, …)
time      began_s: when the time budget began to run
design    rounds: of the step probes, and why they are fewer than asked for
left out  one per task for which there was no time
rung      one per task: when it began, how long it took, how the client did (`Health`)
pressure  one per rung of the KV ramp; ended: why the last one was the last
replay    steady {from_s, to_s, half_share}: the part of the replay that is billed
"""

from __future__ import annotations

from contextlib import ExitStack
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import costaudit
from costaudit.probe.workload import load_workload
from costaudit.record.keeping import Tell, keep
from costaudit.record.meters.sampler import Sampler
from costaudit.record.probing.attach import Attached, attach
from costaudit.record.probing.options import (
    ServerOptions,
    check_server_options,
    server_meta,
    server_options,
)
from costaudit.record.probing.stages import DOING, STAGES, first_tasks
from costaudit.recording.recording import Recording
from costaudit.recording.rows import Fact

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from costaudit.record.options import Listener
    from costaudit.record.probing.probing import Probing
    from costaudit.recording.rows import Task

KIND = "server"
SCRAPE_EVERY_S = 1.0


def record_server(options: ServerOptions, *, progress: Listener, command: str = "") -> Path:
    """Record a server into a new file at `options.path`; returns the path.

    `command` is the command line that asked for it, without secrets; "" where there was none.

    Raises:
        UsageError: an option is wrong, or the file cannot be written (before anything is sent).
        TargetError: the server cannot be reached, is none, or failed; answers so far are kept.
        NothingRecordedError: it failed before the first answer; no file is left.
        InterruptedRunError: Ctrl-C; answers so far are kept, and no request is left running.
    """
    check_server_options(options)
    load_workload(options.probe)  # before a file is made
    recording = Recording.create(options.path)
    recording.set_meta(
        kind=KIND,
        options=server_meta(options),
        command=command,
        costaudit=costaudit.__version__,
        created=datetime.now(UTC).isoformat(timespec="seconds"),
    )
    recording.plan(first_tasks(options))
    return keep(recording, options.path, progress, lambda tell: _work(recording, options, tell))


def resume_server(path: Path, *, progress: Listener) -> Path:
    """Go on with a recording of a server; what is done is not done again.

    Raises:
        UsageError: it is no recording of a server, or another server answers now.
        TargetError, InterruptedRunError: as for `record_server`.
    """
    recording = Recording.resume(path)
    try:
        options = server_options(recording.meta().get("options"), path)
        recording.plan(first_tasks(options))
    except BaseException:
        recording.close()
        raise
    return keep(recording, path, progress, lambda tell: _work(recording, options, tell))


def _work(recording: Recording, options: ServerOptions, tell: Tell) -> None:
    pending = _pending(recording)
    if not pending:
        return
    tell(0.0, "finding out what the server is", None)
    with ExitStack() as stack:
        attached: Attached = attach(recording, options)
        for meter in attached.meters:
            stack.callback(meter.close)
        recording.add(*attached.rows)
        tell(0.0, "sending one small request", _left_s(pending))
        stack.enter_context(
            Sampler(
                attached.meters,
                lambda rows: recording.add(*rows),
                recording.clock_s,
                SCRAPE_EVERY_S,
            )
        )
        _do_tasks(attached.probing, tell)
        recording.add(*(state for meter in attached.meters for state in meter.instruments()))
    tell(1.0, "recorded", 0.0)


def _do_tasks(probing: Probing, tell: Tell) -> None:
    """Task by task, each may plan more behind itself, until all is done or a limit ends it."""
    shown, recording = 0.0, probing.recording
    while (pending := _pending(recording)) and not probing.guard.why:
        left_s = _left_s(pending)
        spent_s = recording.clock_s()
        shown = max(shown, spent_s / max(spent_s + left_s, 1e-9))
        tell(shown, DOING[pending[0].kind], left_s)
        STAGES[pending[0].kind](probing, pending[0])
    probing.settle()
    if probing.guard.why:
        recording.add(Fact(subject="server", name="stopped", value=probing.guard.why))
        recording.add_trouble("probing the server", f"stopped early: {probing.guard.why}")


def _pending(recording: Recording) -> list[Task]:
    return [task for task in recording.tasks() if not task.done]


def _left_s(pending: Sequence[Task]) -> float:
    estimates = (task.spec.get("est_s") for task in pending)
    return sum(s for s in estimates if isinstance(s, (int, float)))
