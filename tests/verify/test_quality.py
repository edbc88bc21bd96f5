"""Perplexity and greedy agreement against a budget."""

from __future__ import annotations

import math
import random

import pytest

from costaudit.ground.errors import UsageError
from costaudit.record import quality as recorder
from costaudit.record.quality import QualityOptions, Scored, Window, score_text
from costaudit.report.quality import quality_text
from costaudit.verify.quality import Result, as_json, judge_quality


def scored(*, worse, disagree, windows=16, tokens=500, noise=0.002, weights="trained"):
    rng = random.Random(f"{worse} {disagree}")
    made = []
    for _ in range(windows):
        before = rng.gauss(2.0, 0.2)
        after = before + math.log1p(worse) + rng.gauss(0, noise)
        agreed = sum(rng.random() >= disagree for _ in range(tokens))
        made.append(
            Window(tokens=tokens, base_nats=before * tokens, new_nats=after * tokens, agreed=agreed)
        )
    return Scored(windows=tuple(made), weights=weights, notes=())


@pytest.mark.parametrize(
    ("worse", "disagree", "result"),
    [
        (0.001, 0.005, Result.PASSED),
        (0.05, 0.005, Result.BROKEN),
        (0.001, 0.10, Result.BROKEN),
        (0.0101, 0.005, Result.INCONCLUSIVE),
        (0.001, 0.02, Result.INCONCLUSIVE),
    ],
)
def test_the_budget_of_one_and_two_percent(worse, disagree, result):
    quality = judge_quality(scored(worse=worse, disagree=disagree), budget=None)
    assert quality.result is result
    perplexity, disagreement = quality.losses
    assert perplexity.interval.low <= worse <= perplexity.interval.high
    assert disagreement.interval.low <= disagree <= disagreement.interval.high
    assert as_json(quality)["result"] in quality_text(as_json(quality))


def test_intervals_hold_the_truth_nine_times_in_ten():
    held = [0, 0]
    for seed in range(200):
        made = scored(worse=0.01 + seed * 1e-9, disagree=0.03 + seed * 1e-9, windows=8, tokens=60)
        for place, loss in enumerate(judge_quality(made, budget=None).losses):
            held[place] += loss.interval.low <= (0.01, 0.03)[place] <= loss.interval.high
    assert 170 <= held[0] <= 193
    assert held[1] >= 170


def test_no_disagreement_in_few_tokens_is_not_certainty():
    quality = judge_quality(scored(worse=0.0, disagree=0.0, windows=4, tokens=10), budget=None)
    assert quality.losses[1].share == 0
    assert quality.losses[1].interval.high > 0.05


def test_random_weights_are_said_to_be_noise():
    made = scored(worse=0.0, disagree=0.0, weights="random")
    assert "random" in judge_quality(made, budget=0.5).notes[0]
    assert judge_quality(made, budget=0.5).losses[0].budget == 0.5


class Parrot:
    """An engine that is sure of the next token, less so when it is quantized."""

    def __init__(self, nats, vocab=300):
        self.nats, self.closed = nats, False
        shape = type("Shape", (), {"vocab": vocab, "max_context_tokens": 64})
        self.target = type("Target", (), {"weights": "trained", "known_shape": shape})

    def scores(self, ids):
        assert len(ids) <= 64
        return [self.nats] * (len(ids) - 1), list(ids[1:])

    def close(self):
        self.closed = True


@pytest.fixture
def parrots(monkeypatch):
    made = [Parrot(1.0), Parrot(1.005)]
    opened = iter(made)
    monkeypatch.setattr(recorder, "_open", lambda options, name, settings: next(opened))
    monkeypatch.setattr(
        recorder, "_tokens", lambda options, text: (list(text.encode()), ("bytes",))
    )
    return made


def test_each_window_is_scored_by_both(tmp_path, parrots):
    path = tmp_path / "text"
    path.write_text("the quick brown fox " * 60, encoding="utf-8")
    found = score_text(QualityOptions(text=path, base="a", new="a"), progress=lambda _: None)
    assert len(found.windows) == 18  # 1200 tokens in windows of 64
    assert all(w.tokens == 63 and w.agreed == 63 for w in found.windows)
    assert all(engine.closed for engine in parrots)
    quality = judge_quality(found, budget=None)
    assert quality.perplexity_after == pytest.approx(math.exp(1.005))
    assert quality.result is Result.PASSED


@pytest.mark.parametrize("text", ["too short", None])
def test_a_text_that_decides_nothing(tmp_path, parrots, text):
    path = tmp_path / "text"
    if text:
        path.write_text(text, encoding="utf-8")
    with pytest.raises(UsageError):
        score_text(QualityOptions(text=path, base="a", new="a"), progress=lambda _: None)
    assert not parrots[1].closed
