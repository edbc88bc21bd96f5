"""What few bits do to a model's own predictions: perplexity beside that of the 16-bit model."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import TYPE_CHECKING

from costaudit.record.engines.low_bit import FORMATS, why_not
from gpu.rows import Row
from gpu.steps import STATIC

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from costaudit.record.engines.transformers_local import TransformersEngine
    from gpu.bed import Bed

_SEED = 9


def rows(bed: Bed) -> Iterator[Row]:
    """Perplexity of a text that the model itself wrote, and what each format multiplies it by.

    With random weights the model has no language, only a distribution of its own: the factor says
    how far a format bends it, and ranks formats; it says nothing of a trained model's answers.
    """
    text = _text(bed)
    with bed.engine() as engine:
        plain = _perplexity(engine, text)
    yield Row(what="perplexity of the model's own text, bfloat16", value=plain)
    for form in FORMATS:
        what = f"perplexity, {form} over bfloat16"
        if why := why_not(form, bed.device):
            yield Row(what=what, value=None, why=why)
            continue
        with bed.engine(of=form) as engine:
            yield Row(what=what, value=_perplexity(engine, text) / plain, unit="x")
    with bed.engine(replace(STATIC, kv_cache="fp8")) as engine:
        value = _perplexity(engine, text) / plain
    yield Row(what="perplexity, KV cache in fp8 over bfloat16", value=value, unit="x")


def _perplexity(engine: TransformersEngine, text: Sequence[int]) -> float:
    losses, _ = engine.scores(text)
    return math.exp(math.fsum(losses) / len(losses))


def _text(bed: Bed) -> list[int]:
    """Tokens drawn from the model's own distribution, each from the one before it alone.

    Drawing a token behind its whole prefix takes a step each; a chain of single tokens is text of
    the same model, drawn all in a few passes.
    """
    import torch  # noqa: PLC0415 - late, as everywhere

    model, count = bed.model, bed.sizes.text_tokens
    dice = torch.Generator(device=bed.device).manual_seed(_SEED)
    rows, tokens = (
        64,
        torch.randint(
            int(bed.sizes.config["vocab_size"]), (64, 1), generator=dice, device=bed.device
        ),
    )
    chain = [tokens]
    with torch.inference_mode():
        for _ in range(-(-count // rows) - 1):
            logits = model(input_ids=chain[-1], use_cache=False).logits[:, -1].float()
            chain.append(torch.multinomial(logits.softmax(dim=-1), 1, generator=dice))
    ids: list[int] = torch.cat(chain, dim=1).flatten()[:count].tolist()
    return ids
