from hypothesis import given
from hypothesis import strategies as st

from costaudit.record.probing.guard import Guard
from costaudit.record.probing.options import Limits


def guard(waiting=None, **limits):
    return Guard(limits=Limits(**limits), waiting=lambda: waiting)


def test_books_what_is_allowed_and_refuses_what_is_not():
    one = guard(requests=2)
    assert one.allow(requests=1, prompt_tokens=5, output_tokens=5) == ""
    assert one.allow(requests=1, prompt_tokens=5, output_tokens=5) == ""
    assert "2 requests" in one.allow(requests=1, prompt_tokens=5, output_tokens=5)
    assert (one.requests, one.prompt_tokens, one.output_tokens) == (2, 10, 10)
    assert one.stop() == one.why != ""


@given(
    st.lists(st.tuples(st.integers(0, 5000), st.integers(0, 5000)), max_size=40),
    st.floats(0, 0.01),
)
def test_never_spends_more_than_allowed(asks, spend_usd):
    one = guard(spend_usd=spend_usd, usd_per_1m_input=0.5, usd_per_1m_output=1.5)
    for prompt, output in asks:
        one.allow(requests=1, prompt_tokens=prompt, output_tokens=output)
    assert one.spent_usd() <= spend_usd * (1 + 1e-12)


def test_stops_when_others_wait_in_the_queue():
    one = guard(waiting=40.0)
    one.ours = 4
    assert "40 requests wait" in one.stop()
    crowded_by_ourselves = guard(waiting=40.0)
    crowded_by_ourselves.ours = 16
    assert crowded_by_ourselves.stop() == ""


def test_a_silent_queue_stops_nothing():
    assert guard(waiting=None).stop() == ""


def test_without_token_prices_nobody_knows_what_was_spent():
    assert guard().spent_usd() is None
