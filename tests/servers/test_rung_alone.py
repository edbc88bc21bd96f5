"""One rung alone: its limit on dollars, and a trace's own times, against a server of ours."""

from __future__ import annotations

from pathlib import Path

import pytest
from paced_server import Paced, paced_server

from costaudit.audit.lone_rung import lone_rung
from costaudit.ground.errors import TargetError, UsageError
from costaudit.record.probing.options import Limits, ServerOptions
from costaudit.record.probing.rung_alone import LoneRung
from costaudit.report.rung import rung_text

PROMPT, OUTPUT = 100, 10


def run(paced, *, requests=10, spend_usd=None, price=(None, None), **asked):
    """The document of a rung of two streams, and the error of one without an answer."""
    limits = Limits(spend_usd=spend_usd, usd_per_1m_input=price[0], usd_per_1m_output=price[1])
    lone = LoneRung(
        concurrency=2, requests=requests, prompt_tokens=PROMPT, output_tokens=OUTPUT, **asked
    )
    with paced_server(paced) as url:
        return lone_rung(ServerOptions(url=url, path=Path("none"), limits=limits), lone)


def test_what_the_dollars_do_not_pay_is_not_sent():
    """A request costs 100 x 2 + 10 x 10 millionths of a dollar."""
    paced = Paced()
    document, _ = run(paced, spend_usd=0.0019, price=(2.0, 10.0))
    assert paced.generations == document["requests"]["sent"] == 6
    assert document["requests"]["failed"] == 0
    assert "0.0019 USD" in document["stopped"]
    assert "! stopped early: the limit of 0.0019 USD" in rung_text(document)


def test_dollars_that_suffice_change_nothing():
    paced = Paced()
    document, _ = run(paced, spend_usd=0.0031, price=(2.0, 10.0))
    assert paced.generations == 10
    assert document["stopped"] == ""


def test_dollars_for_no_request_at_all():
    paced = Paced()
    with pytest.raises(UsageError, match="by the first request"):
        run(paced, spend_usd=0.0001, price=(2.0, 10.0))
    assert paced.generations == 0


def test_dollars_need_a_price():
    paced = Paced()
    with pytest.raises(UsageError, match="no price of 'paced' is listed"):
        run(paced, spend_usd=1.0)
    assert paced.generations == 0


def test_a_trace_is_sent_when_it_is_due(tmp_path):
    rows = [f"2024-05-01 00:00:{n:02d}.000000,{50 + n},{5 + n}" for n in range(8)]
    trace = tmp_path / "trace.csv"
    trace.write_text("\n".join(["TIMESTAMP,ContextTokens,GeneratedTokens", *rows]))
    paced = Paced()
    document, _ = run(paced, requests=6, trace=str(trace), time_scale=0.1)
    assert paced.generations == document["requests"]["sent"] == 6  # of 8
    assert document["tokens"]["prompt"] == sum(range(50, 56))
    assert document["tokens"]["output"] == sum(range(5, 11))
    assert document["load"]["arrivals"] == "trace"
    assert document["wall_s"] >= 0.5  # the sixth was due then


@pytest.mark.parametrize("asked", [{"requests_per_s": 2.0}, {"time_scale": 0.0}])
def test_what_no_trace_can_mean_is_refused_before_anything_is_asked(asked):
    paced = Paced()
    with pytest.raises(UsageError):
        run(paced, trace="log.csv", **asked)
    assert paced.generations == 0


def test_a_rung_without_one_answer_is_an_error():
    document, error = run(Paced(fault=lambda _: "busy"))
    assert document["requests"]["failed"] == 10
    assert isinstance(error, TargetError)
    assert "turns requests away (HTTP 429): slow down" in error.message
    assert error.hint


def test_one_answer_is_enough():
    document, error = run(Paced(fault=lambda number: "busy" if number else ""))
    assert document["requests"]["failed"] == 9
    assert error is None


def test_a_corrected_address_is_told():
    with paced_server(Paced()) as url:
        options = ServerOptions(url=f"{url}/v1/v1", path=Path("none"))
        lone = LoneRung(concurrency=1, requests=1, prompt_tokens=PROMPT, output_tokens=OUTPUT)
        document, error = lone_rung(options, lone)
    assert error is None
    assert any(f"taken as {url}" in note for note in document["notes"])
    assert f"taken as {url}" in rung_text(document)
