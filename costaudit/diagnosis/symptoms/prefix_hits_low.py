"""The prefix cache is on and hardly ever hit.

Why       Requests of one conversation or template go to different replicas or ranks, prompts begin
          with something that changes (a date, an id), a salt keeps tenants apart, or blocks are
          evicted before they are asked for again.
Signature Several replicas or ranks answer here, prompts are long, and fewer than a tenth of their
          tokens is found.
Not       One server alone: its prompts may simply differ, and no metric tells. A hot cache
          elsewhere or a replay against a single replica would.
Sources   vllm-project/vllm#11477, #52463, PR #33172; sgl-project/sglang PR #2114;
          vectorize-io/hindsight PR #3271 (0.085 % against 99.4 %).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from costaudit.diagnosis import signs
from costaudit.diagnosis.facts import prefix_hit_share
from costaudit.diagnosis.symptom import Answer, CannotTell, Confidence, DoesNotShow, Shows, Symptom
from costaudit.measure.window import RUNNING

if TYPE_CHECKING:
    from costaudit.measure.window import Window

LOW = 0.1
LONG_PROMPT = 256.0  # tokens; below, a shared part is small change


def judge(w: Window) -> Answer:
    """Few hits over several replicas."""
    share, why = prefix_hit_share(w)
    if share is None:
        return CannotTell(because=why)
    if share >= LOW:
        return DoesNotShow(why="the prefix cache is hit")
    mean = w.mean("req.prompt_tokens")
    if mean is not None and mean < LONG_PROMPT:
        return DoesNotShow(why="prompts are short")
    ranks = len(w.ranks.get(RUNNING, {}))
    if ranks < 2:  # noqa: PLR2004 - several
        return CannotTell(
            because="hits are few, but whether prompts share a beginning is in no metric: replay "
            "two of them against this server"
        )
    evidence = [signs.seen(w, "prefix.hits_total", "hits over queries", share, "share")]
    evidence.append(signs.seen(w, RUNNING, "replicas or ranks", ranks, "count"))
    return Shows(evidence=tuple(evidence), cost_share=LOW, confidence=Confidence.POSSIBLE)


SYMPTOM = Symptom(
    id="prefix-hits-low",
    title="The prefix cache is hardly ever hit",
    cause="requests that begin alike may go to different replicas, or begin with what changes",
    judge=judge,
    advice="put static text first; route by prefix or by session (consistent hashing, a "
    "cache-aware router)",
    steps=("prefix-affine-routing", "prefix-caching"),
)
