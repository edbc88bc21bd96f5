"""Damaged metric pages bring nothing out but our own error; `make fuzz` damages a million."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from costaudit.record.passive.page import page_of
from costaudit.record.servers.fetch import Reply
from costaudit.record.servers.found import MetricsSource

BENCH = Path(__file__).resolve().parents[2] / "bench"


@pytest.mark.slow
def test_mutated_pages(monkeypatch):
    monkeypatch.syspath_prepend(str(BENCH))
    from exposition_fuzz import fuzz

    assert fuzz(8_000, seed=7) > 0


@given(body=st.binary(max_size=300), form=st.sampled_from(("prometheus", "slots", "loads")))
def test_any_bytes_are_a_page(body, form):
    source = MetricsSource(url="http://fuzz.invalid", servers=("vllm-v1", "sglang"), format=form)
    page_of(Reply(url=source.url, status=200, body=body), source, 0.0)
