"""Sends a traffic to a server once, and says what came of it."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import psutil

from costaudit.ground.stats import median, percentile
from costaudit.measure.served import gaps_s, ttft_s
from costaudit.probe.draw import draw
from costaudit.record.client.load import Rung, Shot
from costaudit.record.client.run import run_rung
from costaudit.record.dialects.dialect import Ask
from costaudit.record.servers.prompts import PromptMaker

if TYPE_CHECKING:
    from collections.abc import Iterator

    from costaudit.probe.workload import Workload
    from costaudit.recording.rows import Answer

OPEN_STREAMS = 256  # connections of an open loop: more than ever wait
WARM = ((64, 16, 16), (512, 4, 4), (1500, 2, 2))  # prompt, output, how many at once


def warm(found: Any) -> None:
    """What a server does once only, kernels chosen or compiled, is no part of a measurement."""
    prompts = PromptMaker.of(found)
    for prompt, output, together in WARM:
        shots = _cold(found, prompts, prompt, output, together)
        _send(found, Rung(shots=shots, concurrency=together, requests=together))


def _cold(found: Any, prompts: PromptMaker, prompt: int, output: int, count: int) -> Iterator[Shot]:
    for number in range(count):
        ask = Ask(prompt=prompts.cold(prompt), output_tokens=output)
        call = found.dialect.call(ask, model=found.model)
        yield Shot(number=number, call=call, output_tokens=output, prompt_tokens=prompt)


def _shots(found: Any, prompts: PromptMaker, workload: Workload) -> Iterator[Shot]:
    """The workload's requests once, in order; prompts that share a prefix really do."""
    for number, one in enumerate(draw(workload)):
        if one.prefix_id is None:
            prompt = prompts.cold(one.prompt_tokens)
        else:
            prompt = prompts.shared(
                one.prompt_tokens, prefix_id=one.prefix_id, prefix_tokens=one.prefix_tokens
            )
        ask = Ask(prompt=prompt, output_tokens=one.output_tokens)
        yield Shot(
            number=number,
            call=found.dialect.call(ask, model=found.model),
            output_tokens=one.output_tokens,
            prompt_tokens=one.prompt_tokens,
            start_s=None if workload.requests_per_s is None else one.arrival_s,
        )


def _send(found: Any, rung: Rung) -> list[Answer]:
    answers: list[Answer] = []
    run_rung(found.endpoint, found.dialect, rung, task="measured", on_answer=answers.append)
    return answers


def once(server: Any, found: Any, prompts: PromptMaker, workload: Workload) -> dict[str, Any]:
    """What a `Measured` holds beside its names: latencies as the client saw them."""
    shots = list(_shots(found, prompts, workload))
    rung = Rung(shots=shots, concurrency=workload.concurrency or OPEN_STREAMS, requests=len(shots))
    before, began = processor_s(server), time.monotonic()
    answers = sorted(_send(found, rung), key=lambda answer: answer.number)
    others = others_share(server, before, began)
    whole = [a for a in answers if a.ok and ttft_s(a) is not None]
    if not whole:
        raise SystemExit(f"no request was answered: {answers[0].error if answers else 'none sent'}")
    firsts, gaps = [ttft_s(a) or 0.0 for a in whole], [gap for a in whole for gap in gaps_s(a)]
    return {
        "requests": len(answers),
        "failed": len(answers) - len(whole),
        "tokens": sum((a.prompt_tokens or 0) + (a.output_tokens or 0) for a in whole),
        "wall_s": max(a.end_s for a in whole),
        "ttft_p50_s": median(firsts),
        "ttft_p90_s": percentile(firsts, 0.9),
        "itl_p50_s": median(gaps) if gaps else 0.0,
        "itl_mean_s": sum(gaps) / len(gaps) if gaps else 0.0,
        "itl_s": tuple(round(percentile(gaps, q / 20), 6) for q in range(21)) if gaps else (),
        "others_share": others,
        "answers": tuple(
            (
                round(a.intended_s, 6),
                round(ttft_s(a) or 0.0, 6),
                round(a.end_s, 6),
                a.prompt_tokens or 0,
                a.cached_tokens or 0,
                a.output_tokens or 0,
            )
            for a in whole
        ),
    }


def others_share(server: Any, before: tuple[float, float], began: float) -> float:
    """What other programs used of the processors since then."""
    every, own = (b - a for a, b in zip(before, processor_s(server), strict=True))
    return max(0.0, (every - own) / ((psutil.cpu_count() or 1) * (time.monotonic() - began)))


def processor_s(server: Any) -> tuple[float, float]:
    """Processor seconds so far: of everybody (time stolen by a hypervisor too), and of ours."""
    every = psutil.cpu_times()
    busy = sum(every) - every.idle - getattr(every, "iowait", 0.0)
    own = psutil.Process().cpu_times()
    return busy, server.cpu_seconds() + own.user + own.system
