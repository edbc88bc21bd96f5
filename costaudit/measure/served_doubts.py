"""Whether a server's replay can carry a claim in dollars, in a sentence where it cannot.

A wide interval, a client that could not keep up and a server that others used meanwhile all give a
number; none of them gives the cost of this server.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from costaudit.measure.neighbours import replay_neighbours
from costaudit.measure.rungs import replay_span
from costaudit.measure.served import served_replay, served_steps
from costaudit.recording.rows import Phase

if TYPE_CHECKING:
    from collections.abc import Iterator

    from costaudit.measure.served import Replayed
    from costaudit.recording.recording import Recording

MOST_HALF_SHARE = 0.25  # of the rate: beyond it the ends of the interval are a factor 1.7 apart
MOST_FAILED_SHARE = 0.1  # of the replayed requests
MOST_FOREIGN_SHARE = 0.1  # of the tokens generated during the replay
TOLD_FOREIGN_SHARE = 0.01  # counters are read once a second: less is not told from nothing
MOST_TAKEN_SHARE = 0.1  # of the cores' time that server and client had
TOLD_CORES = 0.1
_CUT = "cut off"


def replay_doubt(recording: Recording) -> str:
    """Why no dollars should be claimed from this replay; "" where nothing speaks against it."""
    replayed = served_replay(recording)
    if replayed is None or replayed.rate is None:
        return ""
    return next(_doubts(recording, replayed), "")


def foreign_note(recording: Recording) -> str:
    """That others used the server during the replay; "" where they did not, or it does not tell."""
    share = foreign_share(recording)
    if share is None or share <= TOLD_FOREIGN_SHARE:
        return ""
    return (
        f"others used the server during the replay: {share:.3f} of the tokens that it generated"
        " were not ours; the cost per token is of our part of its time"
    )


def cut_off(recording: Recording) -> int:
    """Requests of the replay that were under way when it ended."""
    return sum(answer.error.startswith(_CUT) for answer in recording.answers("replay"))


def foreign_share(recording: Recording) -> float | None:
    """Others' share of the tokens generated during the replay; None where the server is silent."""
    span = replay_span(recording)
    if span is None or not span.generated_tokens:
        return None
    return max(0.0, span.foreign.get("generated_tokens", 0.0)) / span.generated_tokens


def _doubts(recording: Recording, replayed: Replayed) -> Iterator[str]:
    failed = [a for a in recording.answers("replay") if not a.ok and not a.error.startswith(_CUT)]
    if len(failed) > MOST_FAILED_SHARE * replayed.sent:
        said = failed[-1].error or "the stream ended before its terminator"
        yield f"{len(failed)} of {replayed.sent} requests of the replay failed: {said}"
    if (share := foreign_share(recording)) is not None and share > MOST_FOREIGN_SHARE:
        yield (
            f"others used the server during the replay: {share:.3f} of the tokens that it generated"
            " were not ours, so its speed was not all ours either"
        )
    yield from _crowded(recording)
    health = _health(recording)
    if health.get("set_pace", health.get("bottleneck")):  # spoilt stamps leave the rate as it is
        yield f"the client was the bottleneck of the replay: {health.get('why', '')}"
    if not any(one.phase is Phase.DECODE and not one.held_out for one in served_steps(recording)):
        yield (
            "no decode step could be timed: answers came in one piece or in bunches, so nobody"
            " knows what a step costs"
        )
    if replayed.rate is not None and replayed.rate.half_share > MOST_HALF_SHARE:
        yield (
            f"the rate of the replay is known to ± {replayed.rate.half_share:.2f} of it only: the"
            " server's speed changed, or the time was too short"
        )


def neighbours_note(recording: Recording) -> str:
    """That others used the cores of a local server; "" where they hardly did, or nobody knows."""
    there = replay_neighbours(recording)
    if there is None or there.others + there.steal < TOLD_CORES:
        return ""
    return (
        f"others used {there.others + there.steal:.2f} of this machine's {there.cores:.0f} cores"
        f" during the replay; server and client used {there.server + there.own:.2f}"
    )


def _crowded(recording: Recording) -> Iterator[str]:
    there = replay_neighbours(recording)
    if there is not None and there.taken_share > MOST_TAKEN_SHARE:
        yield (
            f"others used {there.others + there.steal:.2f} of this machine's {there.cores:.0f}"
            f" cores during the replay, where server and client used"
            f" {there.server + there.own:.2f}: alone it might have been faster by"
            f" {there.taken_share:.2f} of its speed"
        )


def _health(recording: Recording) -> dict[str, object]:
    about = recording.facts().get("rung", {}).get("replay")
    health = about.value.get("health") if about and isinstance(about.value, dict) else None
    return health if isinstance(health, dict) else {}
