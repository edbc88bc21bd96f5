"""Any timeline: what is attributed and what is not sum to the union of the operations, exactly."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from costaudit.record.captures.attribute import UNATTRIBUTED, attribute
from costaudit.record.captures.timeline import Call, Operation, Range, Timeline

TIME = st.integers(0, 60)
SPAN = st.tuples(TIME, TIME).map(sorted)


@st.composite
def timelines(draw: st.DrawFn) -> Timeline:
    """Few processes, threads and devices, so that everything meets everything."""
    process, thread = st.integers(0, 1), st.integers(0, 2)
    number = st.integers(0, 12)
    operations = [
        Operation(*draw(SPAN), draw(st.integers(0, 1)), draw(process), draw(number))
        for _ in range(draw(st.integers(0, 14)))
    ]
    calls = {
        (draw(process), draw(number)): Call(*draw(SPAN), draw(process), draw(thread))
        for _ in range(draw(st.integers(0, 10)))
    }
    ranges = [
        Range(
            *draw(SPAN),
            draw(process),
            draw(st.none() | thread),
            draw(st.sampled_from(["step", "prefill", "decode"])),
            draw(st.sampled_from(["", "prefill", "decode"])),
        )
        for _ in range(draw(st.integers(0, 8)))
    ]
    return Timeline(
        tool="", version="", operations=tuple(operations), calls=calls, ranges=tuple(ranges)
    )


def busy_by_instants(timeline: Timeline) -> int:
    """The union, counted one nanosecond after the other."""
    return len({(op.device, at) for op in timeline.operations for at in range(op.start, op.end)})


@settings(max_examples=300, deadline=None)
@given(timelines())
def test_attributed_and_unattributed_sum_to_the_union(timeline: Timeline) -> None:
    found = attribute(timeline)
    lost = sum(ns for owner, ns in found.owners.items() if owner.name in UNATTRIBUTED)
    assert found.attributed + lost == found.busy == busy_by_instants(timeline)
    assert sum(found.operations.values()) == len(timeline.operations)
    assert found.busy + found.gaps <= found.window
    assert all(0 <= span.busy <= 2 * (span.end - span.start) for span in found.spans)


@settings(max_examples=200, deadline=None)
@given(timelines())
def test_an_owner_is_the_latest_range_that_holds_the_call(timeline: Timeline) -> None:
    """The rule again, by looking at every pair."""
    wanted: dict[str, int] = {}
    for op in timeline.operations:
        call = timeline.calls.get((op.process, op.correlation))
        around = [] if call is None else [
            one for one in timeline.ranges
            if one.process == call.process and one.thread in (None, call.thread)
            and one.start <= call.start and call.end <= one.end
        ]  # fmt: skip
        latest = max(one.start for one in around) if around else None
        names = {one.name for one in around if one.start == latest}
        key = ("lost" if not around else next(iter(names))) if len(names) < 2 else "several"
        wanted[key] = wanted.get(key, 0) + 1
    if "several" in wanted:
        return
    found = attribute(timeline)
    seen: dict[str, int] = {}
    for owner, number in found.operations.items():
        key = owner.name if owner.attributed else "lost"
        seen[key] = seen.get(key, 0) + number
    assert seen == wanted
