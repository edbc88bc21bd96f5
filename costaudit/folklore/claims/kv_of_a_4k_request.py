"""KV cache of one request with 4,096 tokens.

Said of 70B models: 16 to 32 GB. The claim is scaled to this model by its number of weights; this
model's own figure is 4,096 times the bytes of a token, by formula from its shape and, where its
cache was looked at, as its tensors hold them. A published 70B with eight KV heads stands beside it,
by the same formula from its config.json.
"""

from __future__ import annotations

from costaudit.facts.models import known_model
from costaudit.folklore.claim import Claim, Figure, Finding, Found, Known, Untold
from costaudit.ground.stats import Interval
from costaudit.target import work
from costaudit.target.from_config import shape_from_config

TOKENS = 4096
CLAIMED_BYTES = (16e9, 32e9)
CLAIMED_PARAMS = 70e9
PUBLISHED = "Llama-3.1-70B"


def look(known: Known) -> Finding:
    """This model's cache beside the claim's, weight for weight."""
    metrics, scenario = known.situation.metrics, known.situation.scenario
    if metrics.target.shape is None:
        return Untold(because="the model's shape is unknown: --model-config would tell")
    shape = scenario.shape
    bytes_ = [work.kv_bytes(shape, TOKENS, scenario.step_time.kv_element_bytes)]
    if metrics.kv.bytes_per_token is not None:
        bytes_.append(metrics.kv.bytes_per_token * TOKENS)
    scale = work.total_params(shape) / CLAIMED_PARAMS
    figure = Figure(
        what=f"KV cache of {TOKENS} tokens",
        value=Interval(low=min(bytes_), high=max(bytes_)),
        claimed=Interval(low=CLAIMED_BYTES[0] * scale, high=CLAIMED_BYTES[1] * scale),
        unit="bytes",
        where="the model's shape; the claim by its number of weights",
    )
    return Found(figures=(figure,), note=_published())


def _published() -> str:
    model = known_model(PUBLISHED)
    if model is None:
        return ""
    held = work.kv_bytes(shape_from_config(model.config), TOKENS, 2.0)
    return f"{PUBLISHED} itself holds {held / 1e9:.2f} GB in 16 bits, by the same formula"


CLAIM = Claim(
    id="kv-of-a-4k-request",
    text="A request of 4K tokens to a 70B model takes 16 to 32 GB of KV cache",
    look=look,
)
