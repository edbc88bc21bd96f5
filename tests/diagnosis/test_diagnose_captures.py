"""Stored captures of a real vLLM in known states: the true cause first, and no other."""

from __future__ import annotations

from pathlib import Path

import pytest
from vllm_states import OTHERS, STATES

from costaudit.diagnosis.run import diagnose_saved
from costaudit.record.servers.found import Given

FOLDER = Path(__file__).parent / "captures"
CAPTURED = sorted(path.name for path in FOLDER.iterdir() if path.is_dir())
FIRST = {name: state.first for name, state in (STATES | OTHERS).items()}


def told(paths, seconds=None):
    """All that is named: the ids of the findings, else the state."""
    found = diagnose_saved(paths, seconds=seconds, given=Given())
    return [one.id for one in found.findings] or [found.state.value]


@pytest.mark.parametrize("name", CAPTURED)
def test_a_bundle_tells_the_cause_and_no_other(name):
    assert told([FOLDER / name]) == [FIRST[name]]


@pytest.mark.parametrize("name", CAPTURED)
def test_bare_pages_tell_the_same_without_the_settings(name):
    assert told(sorted((FOLDER / name).glob("*.prom"))) == [FIRST[name]]


def test_pages_without_a_stamp_are_put_in_order_by_their_totals(tmp_path):
    for number, total in enumerate((100, 500, 200, 300)):  # FIRST LAST MORE...
        page = f"vllm:generation_tokens_total {total}\nvllm:num_requests_running {number}\n"
        (tmp_path / f"{number}.prom").write_text(page)
    found = diagnose_saved(sorted(tmp_path.iterdir()), seconds=30, given=Given())
    assert found.window.restarts == 0
    assert "another order" in found.window.notes[-1]
    assert found.window.grown("tokens.generation_total") == 400
    assert found.window.levels("requests.running").last == 1


def test_a_total_that_falls_in_every_order_is_a_restart(tmp_path):
    for number, (made, asked) in enumerate(((100, 9), (500, 20), (5, 30))):
        page = f"vllm:generation_tokens_total {made}\nvllm:prompt_tokens_total {asked}\n"
        (tmp_path / f"{number}.prom").write_text(page)
    assert "restarts" in told(sorted(tmp_path.iterdir()), seconds=30)


# What two pages do not hold is how requests waited in between; totals still tell these.
TWO_PAGES = {"kv-preemption", "prefill-stalls", "prefix-caching-off", "idle", "healthy"}


@pytest.mark.parametrize("name", [name for name in CAPTURED if FIRST[name] in TWO_PAGES])
def test_the_first_and_the_last_page_alone(name):
    first, *_, last = sorted((FOLDER / name).glob("*.prom"))
    assert told([first, last]) == [FIRST[name]]
