"""`costaudit price` as it is typed."""

from __future__ import annotations

import datetime as dt
import gzip
import json
from copy import deepcopy
from pathlib import Path

import pytest

from costaudit.audit.contracts import ContractOptions, price_given
from costaudit.cli import main
from costaudit.pricing.given_capacity import read_capacity
from costaudit.report.page import html_page
from costaudit.report.pricing_console import pricing_text
from costaudit.traffic.read import read_demand

pytestmark = pytest.mark.slow  # all of it together

CAPACITY = """
device = "NVIDIA H100 80GB HBM3"
model = "Qwen/Qwen3-32B"
prefill_tokens_per_s = 20000
decode_tokens_per_s = 3000
interference = 1.1
utilization_share = 0.75
cached_share = 0.25
source = "a benchmark"
"""


@pytest.fixture(scope="module")
def trace(checkout):
    return str(checkout / "bench" / "data" / "traces" / "servegen_m-large_10min_week1.csv")


@pytest.fixture(scope="module")
def capacity(tmp_path_factory):
    path = tmp_path_factory.mktemp("capacity") / "capacity.toml"
    path.write_text(CAPACITY, encoding="utf-8")
    return str(path)


@pytest.fixture(scope="module")
def priced(trace, capacity):
    demand = read_demand(trace, window_s=600)
    options = ContractOptions(usd_per_device_h=3.9, today=dt.date(2026, 9, 1))
    return price_given(demand, read_capacity(Path(capacity)), options)


@pytest.fixture
def document(priced):
    return deepcopy(priced)


@pytest.mark.slow
def test_console_json_and_page_tell_the_same(trace, capacity, capsys, tmp_path):
    page = tmp_path / "price.html"
    command = ["price", trace, "--capacity", capacity, "--price", "3.9", "--reserved-price", "2.7"]
    assert main.run([*command, "--html", str(page)]) == 0
    told = capsys.readouterr().out
    assert "Insufficient history: 7.0 days" in told
    assert "* " in told
    assert all(len(line) <= 80 for line in told.splitlines())
    assert main.run([*command, "--json"]) == 0
    pricing = json.loads(capsys.readouterr().out)["pricing"]
    best = next(o for o in pricing["options"] if o["id"] == pricing["best"])
    written = page.read_text(encoding="utf-8")
    mean = f"${best['usd_per_month']['mean']:,.0f}"
    assert mean in told
    assert mean in written
    reserved = next(o for o in pricing["options"] if o["id"] == "reserved-1y+on-demand")
    assert reserved["committed"]["replicas"] == 27


def test_what_advises_a_reservation_shows_what_it_would_strand(document):
    committed = [
        o for o in document["pricing"]["options"] if o.get("committed", {}).get("replicas")
    ]
    assert committed
    text = pricing_text(document["pricing"])
    assert "committing first strands" in " ".join(text.split())
    assert "committing first strands" in html_page(document)
    assert all(case["id"] not in text for case in document["pricing"]["what_ifs"])  # in words


def test_the_page_is_whole_safe_and_offline(document):
    document["pricing"]["demand"]["source"] = "<script>alert(1)</script>"
    page = html_page(document)
    assert "<script>alert" not in page
    assert " src=" not in page
    assert 'id="chart-load-duration"' in page
    assert "1y, committed" in page  # a level beside the need
    assert "default-src 'none'" in page


def test_lists_are_printed(capsys):
    assert main.run(["price", "--list", "gpu", "H100"]) == 0
    told = capsys.readouterr().out
    assert "crusoe" in told
    assert "source: " in told
    assert main.run(["price", "H100", "--list", "gpu", "--json"]) == 0
    rows = json.loads(capsys.readouterr().out)
    assert all(row["source"] and row["as_of"] for row in rows)
    assert main.run(["price", "--list", "tokens", "no-such-model"]) == 0
    assert "no price is listed" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["price"], "name a LOG"),
        (["price", "log.csv"], "--recording"),
        (["price", "{trace}", "--capacity", "{capacity}", "--recording", "x"], "either"),
        (["price", "{trace}", "--capacity", "nowhere.toml"], "cannot read nowhere.toml"),
        (["price", "{trace}", "--capacity", "{capacity}", "--map", "nothing"], "names no column"),
        (["price", "nowhere.csv", "--capacity", "{capacity}"], "nowhere.csv"),
        (["price", "--list", "gold"], "no price list"),
        (["price", "{trace}", "--capacity", "{capacity}", "--prices", "{capacity}"], "unknown key"),
        (["price", "{trace}", "--capacity", "{capacity}", "--price", "0"], "no price"),
        (["price", "{trace}", "--capacity", "{capacity}", "--html", "/nowhere/x"], "no directory"),
    ],
)
def test_wrong_usage_is_said_in_one_sentence(arguments, says, trace, capacity, capsys):
    places = {"trace": trace, "capacity": capacity}
    assert main.run([argument.format(**places) for argument in arguments]) == 2
    told = capsys.readouterr()
    assert says in told.err
    assert "Traceback" not in told.err
    assert told.out == ""


def test_what_serves_nothing_is_refused(tmp_path, trace, capsys):
    for before, after in (("3000", "0"), ("0.75", "1.5"), ("= 1.1", '= "much"')):
        path = tmp_path / "capacity.toml"
        path.write_text(CAPACITY.replace(before, after, 1), encoding="utf-8")
        assert main.run(["price", trace, "--capacity", str(path)]) == 2
        assert "capacity" in capsys.readouterr().err


def test_nothing_priced_is_inconclusive(tmp_path, trace, capsys):
    text = CAPACITY.replace("NVIDIA H100 80GB HBM3", "NVIDIA H300").replace("Qwen/Qwen3-32B", "x/y")
    path = tmp_path / "capacity.toml"
    path.write_text(text, encoding="utf-8")
    assert main.run(["price", trace, "--capacity", str(path)]) == 3
    assert "--price" in capsys.readouterr().err


@pytest.mark.parametrize("name", ["demo", "vllm"])
def test_a_recording_of_either_kind_prices_a_log(name, trace, checkout, tmp_path, capsys):
    run, page = tmp_path / f"{name}.costaudit", tmp_path / "price.html"
    packed = checkout / "tests" / "report" / "recordings" / f"{name}.costaudit.gz"
    run.write_bytes(gzip.decompress(packed.read_bytes()))
    command = ["price", trace, "--recording", str(run), "--price", "2", "--html", str(page)]
    command += ["--ttft", "60", "--itl", "5"]
    assert main.run([*command, "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["pricing"]["capacity"]["prefill_tokens_per_s"] > 0
    origin = told["provenance"]
    assert origin["priced_by"].startswith("costaudit price ")
    assert len(origin["demand_sha256"]) == 64
    assert origin["demand_sha256"] in page.read_text(encoding="utf-8")
