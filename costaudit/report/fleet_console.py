"""A fleet's past in a terminal: what to fix first, then models, replicas and nodes."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING

from costaudit.report import figures

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from rich.console import Console

    from costaudit.diagnosis.diagnosis import Finding
    from costaudit.diagnosis.fleet import Fleet, Group, Member

SHOWN = 10  # replicas and nodes; --json has all
_IDLE = ("No request in the whole window", "scale in, or let an autoscaler do it")
_METHOD = (
    "Input and output by seconds of the device, not of requests: requests that decode together "
    "share each second, so by request-seconds (OpenCost's compute_time) prompts look too cheap."
)


def fleet_text(fleet: Fleet, *, width: int = 80, colour: bool = False) -> str:
    """The fleet as text of at most `width` columns."""
    from rich.console import Console

    out = io.StringIO()
    console = Console(
        file=out,
        width=max(width, 60),
        highlight=False,
        markup=False,
        emoji=False,
        force_terminal=colour,
        color_system="standard" if colour else None,
    )
    _head(console, fleet)
    _causes(console, fleet)
    _models(console, fleet)
    _prompts(console, fleet)
    _replicas(console, fleet)
    _nodes(console, fleet)
    _notes(console, fleet)
    return "\n".join(line.rstrip() for line in out.getvalue().splitlines()) + "\n"


def _head(console: Console, fleet: Fleet) -> None:
    whole, past = fleet.whole, fleet.past
    states = ", ".join(
        f"{sum(m.diagnosis.state.value == state for m in fleet.members)} {state}"
        for state in dict.fromkeys(m.diagnosis.state.value for m in fleet.members)
    )
    console.print(
        f"{len(fleet.members)} replicas over {figures.duration(past.seconds)}: {states}",
        style="bold",
    )
    console.print(
        f"cost {_cost(whole.cost, fleet)}, {_cost(whole.per_1m_tokens, fleet)} per 1M tokens; "
        f"of it at least {_cost(whole.waste, fleet)} ({_share(whole)}) wasted",
        style="bold",
    )


def _causes(console: Console, fleet: Fleet) -> None:
    console.print("\nWhat to fix first", style="bold")
    if not fleet.causes:
        console.print("  nothing that the metrics can show is wrong")
    for rank, cause in enumerate(fleet.causes, 1):
        finding = cause.members[0].finding
        title, advice = _IDLE
        if finding is not None:
            title = finding.title + _unsure(finding)
            advice = finding.fixes[0].flag if finding.fixes else finding.advice
        console.print(
            f"{rank}. {title}: {len(cause.members)} replicas, "
            f"{_cost(cause.waste, fleet)} wasted there"
        )
        models = dict.fromkeys(m.replica.model or m.replica.engine for m in cause.members)
        console.print(f"   {cause.name}; {_few(models)}", style="dim")
        console.print(f"   {advice}")


def _models(console: Console, fleet: Fleet) -> None:
    rows = [_group_row(group, fleet) for group in fleet.models]
    _table(console, "Models", ("model", "replicas", "cost", "wasted", "share", _per(fleet)), rows)


def _prompts(console: Console, fleet: Fleet) -> None:
    """What a million prompt and generated tokens cost, by either division."""
    rows = []
    for group in fleet.models:
        found = group.prompt_share
        prompt = sum(m.prompt_tokens for m in group.members)
        made = sum(m.generated_tokens for m in group.members)
        if found is None or not prompt or not made:
            continue
        ends = (found.share,) if found.fitted else (found.low, found.high)
        into = [_cost(group.cost * end * 1e6 / prompt, fleet) for end in ends]
        out = [_cost(group.cost * (1 - end) * 1e6 / made, fleet) for end in reversed(ends)]
        theirs = found.by_requests
        rows.append(
            (
                group.name,
                figures.RANGE.join(into),
                figures.RANGE.join(out),
                _cost(group.cost * theirs * 1e6 / prompt, fleet),
                _cost(group.cost * (1 - theirs) * 1e6 / made, fleet),
            )
        )
    if rows:
        columns = ("model", "in", "out", "in, OpenCost", "out, OpenCost")
        _table(console, f"{_per(fleet)}, by device-seconds and as OpenCost divides", columns, rows)
        console.print(f"  {_METHOD}", style="dim")


def _replicas(console: Console, fleet: Fleet) -> None:
    rows = [_member_row(member, fleet) for member in fleet.members[:SHOWN]]
    columns = ("replica", "cost", "wasted", _per(fleet), "busy", "KV max", "first finding")
    _table(console, f"Replicas, the worst{_of(fleet.members)}", columns, rows)


def _nodes(console: Console, fleet: Fleet) -> None:
    rows = []
    for group in fleet.nodes[:SHOWN]:
        gpus = {gpu for member in group.members for gpu in member.gpus}
        active = [gpu.active_share for gpu in gpus if gpu.active_share is not None]
        power = [gpu.power_w for gpu in gpus if gpu.power_w is not None]
        rows.append(
            (
                *_group_row(group, fleet),
                figures.count(len(gpus)) if gpus else "",
                figures.percent(sum(active) / len(active)) if active else "",
                figures.significant(sum(power), " W") if power else "",
            )
        )
    shared = ("node", "replicas", "cost", "wasted", "share", _per(fleet))
    columns: tuple[str, ...] = (*shared, "GPUs", "active", "power")
    if not any(row[-3] for row in rows):
        columns, rows = shared, [row[:-3] for row in rows]
    _table(console, f"Nodes, the worst{_of(fleet.nodes)}", columns, rows)


def _notes(console: Console, fleet: Fleet) -> None:
    console.print()
    origins = dict.fromkeys(member.devices.origin for member in fleet.members)
    console.print(f"devices: {'; '.join(origins)}", style="dim")
    if fleet.price is None:
        console.print("costs are device-hours; give USD per device-hour by --price", style="dim")
    for note in fleet.notes:
        console.print(note, style="dim")
    console.print(f"{fleet.past.asked} questions; only aggregates left the Prometheus", style="dim")


def _group_row(group: Group, fleet: Fleet) -> tuple[str, ...]:
    return (
        group.name,
        figures.count(len(group.members)),
        _cost(group.cost, fleet),
        _cost(group.waste, fleet),
        _share(group),
        _cost(group.per_1m_tokens, fleet),
    )


def _member_row(member: Member, fleet: Fleet) -> tuple[str, ...]:
    facts, found = member.diagnosis.facts, member.finding
    per_1m = member.cost * 1e6 / member.tokens if member.tokens else None
    return (
        member.replica.place.name,
        _cost(member.cost, fleet),
        _cost(member.waste, fleet),
        _cost(per_1m, fleet) if per_1m is not None else "no tokens",
        figures.percent(facts.busy_share),
        figures.percent(facts.kv_usage.high if facts.kv_usage is not None else None),
        member.diagnosis.state.value if found is None else found.id + _unsure(found),
    )


def _unsure(finding: Finding) -> str:
    return " (possible)" if finding.confidence.value == "possible" else ""


def _table(
    console: Console, title: str, columns: Sequence[str], rows: Iterable[Sequence[str]]
) -> None:
    from rich.table import Table

    console.print(f"\n{title}", style="bold")
    table = Table(box=None, pad_edge=False, padding=(0, 1), header_style="dim")
    for place, name in enumerate(columns):
        last = place == len(columns) - 1 and name == "first finding"
        table.add_column(name, justify="left" if place == 0 or last else "right", overflow="fold")
    for row in rows:
        table.add_row(*(cell.replace("\N{NO-BREAK SPACE}", " ") for cell in row))
    console.print(table)


def _cost(value: float | None, fleet: Fleet) -> str:
    return figures.usd(value) if fleet.price is not None else figures.significant(value, " h")


def _per(fleet: Fleet) -> str:
    return "USD/1M" if fleet.price is not None else "device-h/1M"


def _share(group: Group) -> str:
    share = None if group.waste is None or not group.cost else group.waste / group.cost
    return figures.percent(share).replace("\N{NO-BREAK SPACE}", " ")


def _of(some: Sequence[object]) -> str:
    return f" {SHOWN} of {len(some)}" if len(some) > SHOWN else " first"


def _few(names: Iterable[str]) -> str:
    listed = list(names)
    return ", ".join(listed[:3]) + (f" and {len(listed) - 3} more" if len(listed) > 3 else "")  # noqa: PLR2004 - a line's worth
