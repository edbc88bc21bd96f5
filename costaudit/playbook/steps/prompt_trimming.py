"""Shorter prompts: send the context that the answer needs, and no more.

Why it costs      Every prompt token is computed before the first answer token, then read again in
                  each decode step. Retrieved passages, old turns and long instructions that do not
                  change the answer are paid for like the question.
When it helps     Retrieval that sends many passages, conversations that carry all turns, prompts of
                  thousands of tokens of their own; prefill a sizeable part of the bill.
When it does not  Prompts that are mostly a shared opening with the prefix cache on: that part costs
                  next to nothing. Short prompts. Tasks that need the whole document.
Risk              Answers get worse where the passage that mattered was cut: measure the task's own
                  metric at each cut. Changing what stands in front breaks prefix hits.
Verify            Mean prompt tokens fall, time to first token and cost per request with them; the
                  task's metric stays within its budget.
Sources           Jiang et al., "LLMLingua: Compressing Prompts for Accelerated Inference of Large
                  Language Models", EMNLP 2023 (up to 20 times shorter). Liu et al., "Lost in the
                  Middle", TACL 2024 (the middle of long contexts is used least). How much can go is
                  literature, 10 to 50 % of a prompt's own part; what that saves is simulated.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from costaudit.playbook.admission import with_room
from costaudit.playbook.evidence import (
    share,
    tokens,
)
from costaudit.playbook.step import (
    Applicability,
    Applies,
    CannotTell,
    Confidence,
    DoesNotApply,
    Edge,
    Effort,
    Risk,
    Situation,
    Step,
)

if TYPE_CHECKING:
    from costaudit.traffic.traffic import Request
    from costaudit.whatif.scenario import Scenario

ENGINES = (
    "vllm",
    "sglang",
    "tgi",
    "trtllm-serve",
    "triton",
    "llamacpp",
    "lmdeploy",
    "transformers",
)  # what is done in the client is the same for all
OWN_LEFT = {Edge.LOW: 0.9, Edge.HIGH: 0.5}  # of what a prompt does not share with others
MIN_OWN_TOKENS = 500  # on average; below that there is little to cut
MIN_SHARE = 0.1  # of busy time in prefill


def assess(situation: Situation) -> Applicability:
    """Long prompts of their own, and prefill a part of the bill that is worth it."""
    traffic, outcome = situation.scenario.traffic, situation.outcome
    if why := situation.metrics.unknown.get("workload.prefix_share"):
        return CannotTell(because=f"which part of the prompts is their own is unknown: {why}")
    own = sum(r.prompt_tokens - r.prefix_tokens for r in traffic.requests)
    mean = own / max(1, len(traffic.requests))
    if mean < MIN_OWN_TOKENS:
        return DoesNotApply(
            why=f"a prompt has {mean:.0f} tokens of its own: there is little to cut"
        )
    prefill = outcome.prefill_s / outcome.busy_s if outcome.busy_s else 0.0
    if prefill < MIN_SHARE:
        return DoesNotApply(why=f"prefill is only {prefill:.3f} of the busy time")
    return Applies(
        evidence=(
            tokens("a prompt's own part, on average", mean),
            share("busy time of steps with prompt tokens", prefill),
        )
    )


def change(scenario: Scenario, edge: Edge) -> Scenario:
    """Each prompt keeps its shared opening and a part of its own rest."""
    traffic = scenario.traffic
    block = traffic.hash_block_tokens
    shorter = tuple(_trimmed(request, OWN_LEFT[edge], block) for request in traffic.requests)
    trimmed = replace(scenario, traffic=replace(traffic, requests=shorter))
    return with_room(scenario, trimmed)


def _trimmed(request: Request, left: float, block: int) -> Request:
    own = request.prompt_tokens - request.prefix_tokens
    kept = request.prefix_tokens + max(1, round(own * left)) if own > 0 else request.prompt_tokens
    hashes = request.block_hashes[: kept // block]
    return replace(request, prompt_tokens=kept, block_hashes=hashes)


STEP = Step(
    id="prompt-trimming",
    title="Trim prompts and retrieved context",
    category="prefill",
    effort=Effort.DAYS,
    risk=Risk.QUALITY,
    confidence=Confidence.LITERATURE,
    assess=assess,
    change=change,
    snippets=dict.fromkeys(
        ENGINES,
        "# in the client, before the request is sent: fewer and better passages\n"
        "passages = reranker.rank(question, passages)[:3]\n"
        "# or compressed by a small model:\n"
        "llmlingua.PromptCompressor().compress_prompt(passages, rate=0.5)",
    ),
)
