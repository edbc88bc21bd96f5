from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from costaudit.probe.design import DECODE_ROOM, Limits, step_design

ROOMY = Limits(context_tokens=8192, kv_tokens=1 << 17, prefill_tokens=2048)
limits = st.builds(
    Limits,
    context_tokens=st.integers(DECODE_ROOM + 64, 40_000),
    kv_tokens=st.integers(64, 1 << 18),
    prefill_tokens=st.integers(32, 4096),
)


def hull(probes, name):
    values = [getattr(p, name) for p in probes]
    return min(values), max(values)


def test_the_design_of_a_roomy_machine():
    probes = step_design(ROOMY)
    fitted = [p.id for p in probes if not p.held_out]
    assert fitted == [
        *("prefill-1x32", "prefill-1x256", "prefill-1x1024", "prefill-1x256@1024", "prefill-4x64"),
        *("decode-1x64", "decode-1x2048", "decode-8x256", "decode-16x1024", "decode-32x64"),
    ]
    assert len(probes) - len(fitted) >= 5


def test_held_out_probes_lie_inside_the_hull_at_other_values():
    probes = step_design(ROOMY)
    for phase in ("prefill", "decode"):
        own = [p for p in probes if p.phase == phase]
        fitted = [p for p in own if not p.held_out]
        for probe in (p for p in own if p.held_out):
            for name in ("seqs", "new_tokens", "cached_tokens"):
                low, high = hull(fitted, name)
                assert low <= getattr(probe, name) <= high
            assert probe.id not in {p.id for p in fitted}


def test_a_long_workload_gets_probes_at_its_context():
    probes = step_design(ROOMY, longest_context_tokens=6000)
    ids = {p.id for p in probes}
    assert {"prefill-1x256@5744", "decode-1x6000"} <= ids
    assert step_design(ROOMY, longest_context_tokens=2000) == step_design(ROOMY)


@given(limits=limits, longest=st.integers(0, 50_000))
def test_every_probe_keeps_the_limits(limits, longest):
    probes = step_design(limits, longest_context_tokens=longest)
    assert len({p.id for p in probes}) == len(probes)
    for probe in probes:
        assert probe.new_tokens >= 1
        assert probe.seqs >= 1
        total = probe.new_tokens + probe.cached_tokens
        assert total <= limits.context_tokens
        if probe.phase == "prefill":
            assert probe.seqs * probe.new_tokens <= max(limits.prefill_tokens, probe.new_tokens)
            assert probe.new_tokens <= limits.prefill_tokens
        else:
            assert probe.seqs * probe.cached_tokens <= limits.kv_tokens
    fitted = [p for p in probes if not p.held_out]
    assert {p.phase for p in fitted} == {"prefill", "decode"}


@given(context=st.integers(512, 40_000))
def test_a_usual_model_always_has_held_out_probes(context):
    roomy = Limits(context_tokens=context, kv_tokens=1 << 17, prefill_tokens=2048)
    held_out = [p for p in step_design(roomy) if p.held_out]
    assert len(held_out) >= 3
    assert {p.phase for p in held_out} == {"prefill", "decode"}
