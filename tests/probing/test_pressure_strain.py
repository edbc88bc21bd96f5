from costaudit.record.probing import strain
from costaudit.record.probing.strain import Strain


def strained(fits_share=0.9, **levels):
    """A look at metrics that the test changes, and the watcher of one rung."""
    page = {"kv.usage_fraction": 0.0, "requests.waiting": 0.0, "preemptions_total": 5.0, **levels}
    one = Strain(level=page.get, preemptions_before=5.0, fits_share=fits_share)
    return page, one


def test_a_queue_with_free_blocks_is_no_want_of_them():
    page, one = strained()
    page |= {"requests.waiting": 4.0, "kv.usage_fraction": 0.62}
    assert one.stop() == ""
    assert not one.full


def test_a_queue_in_front_of_a_full_pool_is():
    page, one = strained()
    page |= {"requests.waiting": 1.0, "kv.usage_fraction": 0.95}
    one.stop()
    assert one.seen() == {"full": True, "preempted": 0.0, "waited": True}


def test_preemptions_end_the_rung_soon_but_not_at_once(monkeypatch):
    page, one = strained()
    monkeypatch.setattr(strain.time, "monotonic", lambda: page["clock"])
    page |= {"clock": 10.0, "preemptions_total": 7.0}
    assert one.stop() == ""
    page["clock"] += strain.ENOUGH_S + 0.1
    assert one.stop() == "blocks ran out"
    assert one.seen()["preempted"] == 2.0


def test_metrics_that_do_not_tell_are_no_want():
    one = Strain(level=lambda _: None, preemptions_before=0.0, fits_share=0.9)
    assert one.stop() == ""
    assert not one.full
