"""What an audit of a server would send: everything is looked up, nothing is generated."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from costaudit.probe.workload import load_workload
from costaudit.record.probing.attach import find
from costaudit.record.probing.bounds import bounds_of, concurrency
from costaudit.record.probing.design import PREFILL_REPEATS, served_design
from costaudit.record.probing.guard import Guard
from costaudit.record.probing.options import check_server_options
from costaudit.record.probing.spending import priced

if TYPE_CHECKING:
    from collections.abc import Sequence

    from costaudit.record.probing.design import ServedProbe
    from costaudit.record.probing.options import ServerOptions


_LIMITS = ("concurrency", "tokens", "requests", "spend_usd", "waiting", "p95_factor")


def dry_run(options: ServerOptions) -> dict[str, Any]:
    """What was found out, the step probes with their tokens, and the limits.

    Raises:
        TargetError: the server cannot be reached or refuses us.
        UsageError: an option is wrong.
    """
    check_server_options(options)
    workload, found = load_workload(options.probe), find(options)
    probes = served_design(bounds_of(options, workload, found))
    requests, prompt, output = (options.rounds * one for one in _round(probes))
    limits = priced(options.limits, model=found.model, base_url=found.endpoint.base_url)
    guard = Guard(limits=limits, waiting=lambda: None)
    refused = guard.allow(requests=requests, prompt_tokens=prompt, output_tokens=output)
    return {
        "server": {
            "base_url": found.endpoint.base_url,
            "engine": found.target.engine,
            "engine_version": found.target.engine_version,
            "model": found.model,
            "dialect": found.dialect.name,
            "metrics": found.metrics is not None,
            "notes": list(found.notes),
        },
        "step_probes": [probe.id for probe in probes],
        "step_requests_at_most": requests,
        "step_prompt_tokens_at_most": prompt,
        "step_output_tokens_at_most": output,
        "step_spend_usd_at_most": guard.spent_usd(),
        "token_price_source": limits.token_price_source,
        "replay_concurrency": concurrency(options, workload),
        "seconds": options.time_budget_s,
        "then": [phase for phase, asked in _further(options).items() if asked],
        "limits": {name: getattr(limits, name) for name in _LIMITS},
        "refused": refused,
    }


def _further(options: ServerOptions) -> dict[str, bool]:
    """What comes behind the ladder, where it was asked for."""
    opened = options.requests_per_s is not None or options.trace is not None
    return {"requests at their own times": opened, "pressure on the KV cache": options.pressure}


def _round(probes: Sequence[ServedProbe]) -> tuple[int, int, int]:
    """Requests, prompt and output tokens of one round."""
    counts = [PREFILL_REPEATS if probe.phase == "prefill" else probe.seqs for probe in probes]
    return (
        sum(counts),
        sum(n * probe.prompt_tokens for n, probe in zip(counts, probes, strict=True)),
        sum(n * probe.output_tokens for n, probe in zip(counts, probes, strict=True)),
    )
