"""A scenario as the scheduler's state: lists of objects, or arrays of records for compiled code."""

from __future__ import annotations

from dataclasses import fields
from functools import cache
from typing import TYPE_CHECKING, Any, assert_never

from costaudit.traffic.traffic import Traffic
from costaudit.whatif.rates import rates_of, windows_of
from costaudit.whatif.scenario import Batching, KvLayout
from costaudit.whatif.scheduler.gaps import BINS
from costaudit.whatif.scheduler.seconds import PLACES
from costaudit.whatif.scheduler.state import (
    NONE,
    Chunk,
    Entry,
    Job,
    Machine,
    Rates,
    Row,
    State,
    Step,
    Window,
)
from costaudit.whatif.sharing import columns_of

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from costaudit.whatif.scenario import Knobs, Scenario
    from costaudit.whatif.sharing import Columns

UNITS = 256  # parts of a token by which a speculating row grows
SPARE_PEAKS = 64
GIVEN = (
    "arrival_s",
    "prompt_tokens",
    "output_tokens",
    "shareable_blocks",
    "first_start",
    "batch",
)


def state_of(
    scenario: Scenario,
    *,
    perfect_prefix: bool,
    free_resume: bool,
    in_records: bool,
    log_room: int = 0,
) -> State:
    """The scheduler at time zero; with `log_room` it logs up to so many steps and chunks."""
    machine = machine_of(scenario)
    machine.perfect_prefix, machine.free_resume = int(perfect_prefix), int(free_resume)
    machine.logging = int(log_room > 0)
    columns = columns_of(scenario.traffic, machine.share_tokens)
    machine.span, machine.nodes = columns.span, columns.nodes
    knobs = scenario.knobs
    drafts = knobs.speculation if knobs.batching is Batching.CONTINUOUS else None
    rates = rates_of(scenario.step_time, drafts)
    rates.gain = machine.growth / machine.unit
    windows = windows_of(scenario.step_time)
    if in_records:
        return _of_records(machine, rates, columns, windows, log_room)
    last = machine.nodes + machine.jobs
    return State(
        machine=machine,
        rates=rates,
        jobs=_objects(columns),
        rows=[Row() for _ in range(_rows(machine))],
        entries=[Entry(before=last, after=last) for _ in range(_entries(machine))],
        starts=columns.starts.tolist(),
        phases=[0] * (machine.cycle + 1),
        gaps=[0] * BINS,
        windows=windows,
        seconds=[0.0] * PLACES,
        steps=[Step() for _ in range(log_room)],
        chunks=[Chunk() for _ in range(log_room)],
    )


def nobody_in_records() -> State:
    """An engine without requests, of the kind that compiled code is for."""
    columns = columns_of(Traffic(source="", requests=()), 1)
    return _of_records(Machine(cycle=1), Rates(), columns, [Window()], 0)


def _of_records(
    machine: Machine, rates: Rates, columns: Columns, windows: list[Window], log_room: int
) -> State:
    import numpy as np

    entries = np.zeros(_entries(machine), record_types()[Entry])
    entries["before"] = entries["after"] = machine.nodes + machine.jobs
    entries["refs"] = NONE
    arrays: dict[str, Any] = {
        "machine": _records([machine])[0],
        "rates": _records([rates])[0],
        "jobs": _job_records(columns),
        "rows": np.zeros(_rows(machine), record_types()[Row]),
        "entries": entries,
        "starts": columns.starts,
        "phases": np.zeros(machine.cycle + 1, np.int64),
        "gaps": np.zeros(BINS, np.int64),
        "windows": _records(windows),
        "seconds": np.zeros(PLACES),
        "steps": np.zeros(log_room, record_types()[Step]),
        "chunks": np.zeros(log_room, record_types()[Chunk]),
    }
    return State(**arrays)


def _rows(machine: Machine) -> int:
    """Places for the rows of a step, and for the stretches between their arrivals."""
    return 2 * machine.most_rows + SPARE_PEAKS


def _entries(machine: Machine) -> int:
    """Places for nodes, and while blocks are cached for jobs and the ends of the queue."""
    return machine.nodes + (machine.jobs if machine.caching else 0) + 1


def slot_tokens(scenario: Scenario) -> int:
    """What a static cache reserves per sequence: the maximum length, or what the longest needs."""
    maximum = scenario.knobs.max_model_len or scenario.shape.max_context_tokens
    columns = columns_of(scenario.traffic, scenario.knobs.kv_block_tokens)
    return max(maximum, columns.longest_tokens or 1)


def machine_of(scenario: Scenario) -> Machine:
    """Limits of the engine, and the way a decoding row grows."""
    knobs, traffic = scenario.knobs, scenario.traffic
    paged, size = knobs.kv_layout is KvLayout.PAGED, _block_tokens(scenario)
    total = knobs.kv_budget_tokens // size
    machine = Machine(
        jobs=len(traffic.requests),
        concurrency=traffic.concurrency or 0,
        think_s=traffic.think_s,
        front_s=scenario.step_time.front_s,
        full_rows=knobs.max_num_seqs,
        most_rows=min(knobs.max_num_seqs, len(traffic.requests)),
        batch_wait_s=knobs.batch_wait_s,
        chunked=int(knobs.chunked_prefill),
        block_tokens=size,
        share_tokens=knobs.kv_block_tokens,
        total_blocks=total,
        free_blocks=total,
        blank_blocks=total,
        least_free=total,
        watermark_blocks=int(knobs.kv_watermark_share * total) if paged else 0,
        kv_tokens=knobs.kv_budget_tokens,
        paged=int(paged),
        promises=int(knobs.kv_layout is KvLayout.DYNAMIC),
        caching=int(knobs.prefix_caching and paged),
        cycle=size,
        lead=size - 1,
    )
    if knobs.batching is Batching.CONTINUOUS:  # static batches know no token budget and no drafts
        _set_steps(machine, knobs)
    return machine


def _block_tokens(scenario: Scenario) -> int:
    """Paged: blocks on demand. Static: one of the maximum length. Dynamic: token by token."""
    match scenario.knobs.kv_layout:
        case KvLayout.PAGED:
            return scenario.knobs.kv_block_tokens
        case KvLayout.STATIC:
            return slot_tokens(scenario)
        case KvLayout.DYNAMIC:
            return 1
        case _:
            assert_never(scenario.knobs.kv_layout)


def _set_steps(machine: Machine, knobs: Knobs) -> None:
    """What fits into a step, and by how much a row grows in it."""
    size = machine.block_tokens
    if knobs.speculation:
        machine.unit, machine.width = UNITS, knobs.speculation.draft_tokens + 1
        machine.growth = round(knobs.speculation.tokens_per_step * UNITS)
        machine.cycle = size * UNITS
        machine.lead = (size + machine.width - 1) * UNITS - machine.growth
    if knobs.max_num_batched_tokens is not None:
        machine.batched_tokens = knobs.max_num_batched_tokens
        machine.most_rows = min(machine.most_rows, machine.batched_tokens // machine.width)


def _objects(columns: Columns) -> list[Job]:
    given = zip(*(getattr(columns, name).tolist() for name in GIVEN), strict=False)
    return [
        Job(
            arrival_s=arrival_s,
            prompt_tokens=prompt,
            output_tokens=output,
            shareable_blocks=blocks,
            first_start=start,
            batch=batch,
        )
        for arrival_s, prompt, output, blocks, start, batch in given
    ]


@cache
def record_types() -> Mapping[type, Any]:
    """For each class of numbers the array record with the same fields."""
    import numpy as np

    codes = {"int": "i8", "float": "f8"}
    return {
        kind: np.dtype([(field.name, codes[str(field.type)]) for field in fields(kind)])
        for kind in (Chunk, Entry, Job, Machine, Rates, Row, Step, Window)
    }


def _records(numbers: Sequence[Any]) -> Any:
    import numpy as np

    kind = record_types()[type(numbers[0])]
    return np.array([tuple(getattr(each, name) for name in kind.names) for each in numbers], kind)


def _job_records(columns: Columns) -> Any:
    import numpy as np

    records = np.zeros(len(columns.prompt_tokens), record_types()[Job])
    for name in ("place", "older", "newer", "behind", "first_s"):
        records[name] = NONE
    for name in GIVEN:
        records[name] = getattr(columns, name)
    return records
