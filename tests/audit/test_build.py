"""The audit of a machine whose truth is known."""

from __future__ import annotations

import datetime as dt
import json
import math
import sys
from pathlib import Path

import jsonschema
import pytest

sys.path.insert(0, str(Path(__file__).parent))
from synthetic_run import BATCHES, write_run

from costaudit.audit.build import AuditOptions, build_audit
from costaudit.audit.document import does_not_close, schema, unexplained_nulls
from costaudit.ground.errors import InconclusiveError, UsageError
from costaudit.recording.recording import Recording

TODAY = dt.date(2026, 3, 1)
PRICED = AuditOptions(usd_per_device_h=3.6, today=TODAY)


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    return write_run(tmp_path_factory.mktemp("run") / "run.costaudit")


@pytest.fixture(scope="module")
def document(run):
    return build_audit(run, options=PRICED)


def test_it_is_a_valid_document(document):
    jsonschema.Draft202012Validator(schema()).validate(document)
    json.dumps(document, allow_nan=False)


def test_the_bill_closes_and_every_null_has_a_reason(document):
    assert does_not_close(document) == ""
    assert unexplained_nulls(document) == []


def test_the_fit_finds_the_truth_of_this_machine(document):
    assert document["steptime"]["error_p50_share"] < 0.01
    assert document["steptime"]["refused"] is False


def test_what_was_paid_is_what_the_batches_took(document):
    bill = document["bill"]
    tokens = sum(p + o for batch in BATCHES for p, o in batch)
    assert bill["prompt_tokens"] + bill["output_tokens"] == tokens
    assert bill["usd_per_1m_tokens"] == pytest.approx(bill["usd_per_1m_tokens_interval"]["low"])
    fastest_s = bill["usd_per_1m_tokens"] * tokens / 1e6 / 3.6 * 3600
    assert bill["usd_per_1m_tokens_interval"]["high"] == pytest.approx(
        bill["usd_per_1m_tokens_interval"]["low"] * 1.02
    )
    assert fastest_s == pytest.approx(bill["gpu_s"])


def test_a_replay_that_the_model_foresees_leaves_little_unexplained(document):
    assert abs(document["bill"]["unexplained_share"]) < 0.02


def test_tokens_times_unit_prices_are_the_bill(document):
    bill = document["bill"]
    usd = bill["prompt_tokens"] * bill["usd_per_1m_input"]
    usd += bill["output_tokens"] * bill["usd_per_1m_output"]
    whole = (bill["prompt_tokens"] + bill["output_tokens"]) * bill["usd_per_1m_tokens"]
    assert usd == pytest.approx(whole, rel=1e-9)


def test_useful_work_is_below_the_peaks(document):
    for phase in document["phases"].values():
        assert 0 < phase["mfu"] < 1
        assert 0 < phase["mbu"] < 1
    assert document["phases"]["prefill"]["bound"] == "compute"
    assert document["phases"]["decode"]["bound"] == "bandwidth"


def test_the_marginals_are_ordered_and_stay_within_the_bill(document):
    ranked = [s for s in document["playbook"] if s["rank"]]
    assert [s["rank"] for s in ranked] == list(range(1, len(ranked) + 1))
    assert [s["id"] for s in ranked] == document["order"]["best"]
    assert sum(s["marginal"]["low_share"] for s in ranked) < 1
    assert ranked[0]["id"] == "continuous-batching"


def test_both_conventional_orders_are_priced(document):
    for order in document["order"]["conventional"]:
        assert len(order["usd_path"]) == len(order["ids"]) > 0
        assert all(math.isfinite(usd) for usd in order["usd_path"])


def test_weights_that_nobody_told_of_are_unknown(tmp_path):
    path = write_run(tmp_path / "run.costaudit", weights="")
    document = build_audit(path, options=PRICED)
    told = {one["what"] for one in document["unknown"] if "weights are trained" in one["why"]}
    assert told == {"target.weights", "provenance.weights"}
    assert document["target"]["weights"] is document["provenance"]["weights"] is None


def test_without_a_price_device_seconds_speak(tmp_path):
    path = write_run(tmp_path / "gpu.costaudit", device="cuda")
    with Recording.resume(path) as recording:  # a device that no price list knows
        from costaudit.recording.rows import Fact

        recording.add(Fact(subject="device", name="name", value="NVIDIA Unheard-of 1"))
    document = build_audit(path, options=AuditOptions(today=TODAY))
    assert document["bill"]["usd_per_1m_tokens"] is None
    assert document["bill"]["gpu_s_per_1m_tokens"] > 0
    assert unexplained_nulls(document) == []
    jsonschema.Draft202012Validator(schema()).validate(document)


def test_a_listed_gpu_is_priced_from_the_book(tmp_path):
    path = write_run(tmp_path / "gpu.costaudit", device="cuda")
    document = build_audit(path, options=AuditOptions(today=TODAY))
    (price,) = document["pricing"]["prices"]
    assert price["source"]
    assert document["bill"]["usd_per_gpu_h"] == price["usd_per_device_h"]


def test_a_model_that_misses_its_held_out_probes_makes_no_claim_in_dollars(tmp_path):
    path = write_run(tmp_path / "bad.costaudit", held_out_error=0.4)
    document = build_audit(path, options=PRICED)
    assert document["steptime"]["refused"] is True
    assert document["steptime"]["error_p50_share"] > 0.15
    assert document["bill"]["usd_per_1m_tokens"] is None
    assert all(s["usd_per_1m"] is None for s in document["bill"]["slices"])
    assert "no claim in dollars" in document["bill"]["why"]
    assert unexplained_nulls(document) == []
    jsonschema.Draft202012Validator(schema()).validate(document)


def test_a_run_that_ended_before_its_workload_cannot_be_billed(tmp_path):
    path = write_run(tmp_path / "run.costaudit")
    with Recording.resume(path) as recording:
        recording._db.execute("DELETE FROM sample WHERE role = 'replay'")
    with pytest.raises(InconclusiveError, match="nothing to bill"):
        build_audit(path, options=PRICED)


def test_an_empty_recording_names_what_is_missing(tmp_path):
    Recording.create(tmp_path / "empty.costaudit").close()
    with pytest.raises(UsageError, match="does not describe its target"):
        build_audit(tmp_path / "empty.costaudit", options=PRICED)
