from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from costaudit.ground.errors import UsageError
from costaudit.recording.recording import Recording
from costaudit.recording.rows import Fact
from costaudit.recording.target_facts import target_facts, target_of
from costaudit.target.shape import Experts, LatentAttention, ModelShape
from costaudit.target.target import Origin, Target, Value

sizes = st.integers(1, 1 << 20)
shapes = st.builds(
    ModelShape,
    name=st.text(min_size=1, max_size=8),
    architecture=st.just("X"),
    **dict.fromkeys(
        ("layers", "hidden", "ffn", "heads", "kv_heads", "head_dim", "vocab", "max_context_tokens"),
        sizes,
    ),
    tied_embeddings=st.booleans(),
    experts=st.none() | st.builds(Experts, count=sizes, per_token=sizes, ffn=sizes),
    latent=st.none()
    | st.builds(
        LatentAttention,
        kv_rank=sizes,
        rope_dim=sizes,
        q_rank=st.none() | sizes,
        nope_dim=sizes,
        v_dim=sizes,
    ),
    windows=st.lists(st.none() | sizes, max_size=4).map(tuple),
    params=st.none() | sizes,
)
knobs = st.dictionaries(
    st.text(min_size=1, max_size=5),
    st.builds(
        Value,
        value=st.none() | st.integers(-9, 9) | st.booleans() | st.text(max_size=4),
        origin=st.sampled_from(Origin),
        why=st.text(max_size=5),
    ),
    max_size=3,
)


def by_subject(facts):
    found: dict[str, dict[str, Fact]] = {}
    for fact in facts:
        found.setdefault(fact.subject, {})[fact.name] = fact
    return found


@settings(max_examples=25, deadline=None)
@given(shape=shapes, knobs=knobs)
def test_a_target_comes_back_through_the_file(tmp_path_factory, shape, knobs):
    target = Target(
        kind="in-process",
        engine="transformers",
        engine_version="5",
        model="m",
        weights="random",
        dtype="float32",
        shape=shape,
        knobs=knobs,
    )
    with Recording.create(tmp_path_factory.mktemp("t") / "r.costaudit") as recording:
        recording.add(*target_facts(target))
        assert target_of(recording.facts()) == target


def test_a_recording_without_its_target_says_so():
    with pytest.raises(UsageError, match="does not describe its target"):
        target_of({})
    with pytest.raises(UsageError, match="no dtype"):
        target_of(
            by_subject(
                Fact(subject="target", name=n, value="x")
                for n in ("kind", "engine", "engine_version", "model", "weights")
            )
        )
