"""Which rung of the pressure ramp comes next, against caches whose knee is known."""

from hypothesis import given
from hypothesis import strategies as st

from costaudit.record.probing.climb import CLOSE_SHARE, Tried, next_rung


def climbed(*, start, top, full_at, prompt=100, longest=1000, most_running=10_000, full_prompt=0):
    """All rungs of a ramp on a server whose blocks run out from `full_at` streams on."""
    tried = []
    while not isinstance(
        rung := next_rung(tried, start=start, top=top, prompt=prompt, longest=longest), str
    ):
        streams, equal = rung
        assert 1 <= streams <= top
        full = streams >= full_at if equal is None else equal >= full_prompt > 0
        at_once = min(streams, most_running)
        tried.append(Tried(streams=streams, prompt=equal, full=full, at_once=at_once, whole=True))
        assert len(tried) < 40
    return tried, rung


@given(st.integers(1, 300), st.integers(1, 256), st.integers(1, 256))
def test_the_knee_is_closed_in_on_from_anywhere(full_at, start, top):
    tried, why = climbed(start=start, top=top, full_at=full_at)
    own = [one for one in tried if one.prompt is None]
    if full_at > top:
        assert not any(one.full for one in own)
        assert max(one.streams for one in own) == top
        assert "do not fill" in why
        return
    full = min(one.streams for one in own if one.full)
    spared = max((one.streams for one in own if not one.full), default=0)
    assert why == "the knee is known"
    assert spared < full_at <= full
    assert full - spared <= max(1, CLOSE_SHARE * spared)


def test_where_streams_do_not_fill_it_prompts_get_longer():
    tried, why = climbed(start=8, top=16, full_at=99, full_prompt=350)
    assert [one.prompt for one in tried if one.prompt] == [200, 400]
    assert {one.streams for one in tried if one.prompt} == {16}
    assert why == "longer prompts filled the cache"


def test_a_server_that_runs_fewer_at_once_is_not_asked_for_more():
    tried, _ = climbed(start=8, top=64, full_at=99, most_running=4)
    assert {one.streams for one in tried if one.prompt} == {4}
    assert max(one.streams for one in tried) == 8


def test_streams_that_were_out_of_step_are_not_taken_for_a_limit_of_the_server():
    seen = Tried(streams=30, prompt=None, full=False, at_once=27, whole=True)
    assert next_rung([seen], start=30, top=64, prompt=9, longest=99) == (45, None)


def test_a_rung_that_did_not_end_is_tried_with_fewer_streams():
    tried, asked = [], {"start": 8, "top": 64, "prompt": 9, "longest": 99}
    for streams in (8, 4, 2, 1):
        assert next_rung(tried, **asked) == (streams, None)
        cut = Tried(streams=streams, prompt=None, full=False, at_once=0, whole=False)
        tried.append(cut)
    assert "did not end" in next_rung(tried, **asked)
    whole = Tried(streams=2, prompt=None, full=False, at_once=2, whole=True)
    assert "did not end" in next_rung([*tried[:2], whole], **asked)
