"""Routing to a smaller model: let it answer what is short or easy.

Why it costs      Every request pays for the weights of the large model, also those that a model of
                  a tenth of the size answers as well.
When it helps     A model of several billion weights, many short requests (classification,
                  extraction, small talk), a smaller model of the same family at hand.
When it does not  A model that is small already; requests that all need the large one; little
                  traffic, which does not fill two deployments.
Risk              Wrong routes cost quality on hard requests: measure both models on the task, and
                  let the router's threshold follow. A second deployment with its own idle time.
Verify            Share of requests that the small model answers, the quality of those against the
                  large model, and dollars per request over both deployments.
Sources           Ong et al., "RouteLLM: Learning to Route LLMs with Preference Data", 2024 (cost 35
                  to 85 % lower at 95 % of GPT-4's quality, by benchmark). Chen et al., "FrugalGPT",
                  2023. Which requests are easy was not measured: the effect is literature over the
                  short ones, 3 to 60 % of all seconds.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from costaudit.playbook.evidence import (
    LENGTHS,
    count,
    share,
)
from costaudit.playbook.slowdown import EVERYTHING, with_seconds
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
from costaudit.target import work

if TYPE_CHECKING:
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
SECONDS_LEFT = {Edge.LOW: 0.97, Edge.HIGH: 0.4}  # see the page: few of them, to RouteLLM's most
SMALL_PARAMS = 3e9  # a model below this has no much smaller sibling
SHORT_PROMPT_TOKENS, SHORT_OUTPUT_TOKENS = 512, 128
MIN_SHORT_SHARE = 0.2  # of the tokens


def assess(situation: Situation) -> Applicability:
    """A large model, and many requests that look easy by their length."""
    scenario = situation.scenario
    if situation.metrics.target.shape is None:
        return CannotTell(because="the model's size is unknown: --model-config would tell")
    params = work.total_params(scenario.shape)
    if params < SMALL_PARAMS:
        return DoesNotApply(why=f"the model has {params / 1e9:.2g} billion weights: it is small")
    short = [
        r.prompt_tokens + r.output_tokens
        for r in scenario.traffic.requests
        if r.prompt_tokens <= SHORT_PROMPT_TOKENS and r.output_tokens <= SHORT_OUTPUT_TOKENS
    ]
    whole = scenario.traffic.prompt_tokens + scenario.traffic.output_tokens
    part = sum(short) / max(1, whole)
    if part < MIN_SHORT_SHARE:
        return DoesNotApply(why=f"short requests are only {part:.2f} of the tokens")
    return Applies(
        evidence=(
            share("tokens in requests of at most 512 + 128 tokens", part, LENGTHS),
            count("weights of the model", params, "facts: shape"),
        )
    )


def change(scenario: Scenario, edge: Edge) -> Scenario:
    """All seconds by a factor, by literature: the simulation knows one model."""
    return with_seconds(scenario, SECONDS_LEFT[edge], EVERYTHING)


STEP = Step(
    id="smaller-model-routing",
    title="Route easy requests to a smaller model",
    category="model",
    effort=Effort.WEEKS,
    risk=Risk.QUALITY,
    confidence=Confidence.LITERATURE,
    assess=assess,
    change=change,
    excludes=("right-sizing",),
    snippets=dict.fromkeys(
        ENGINES,
        "# in front of both deployments, for instance\n"
        "pip install 'routellm[serve]'\n"
        "python -m routellm.openai_server --routers mf "
        "--strong-model openai/LARGE --weak-model openai/SMALL",
    ),
)
