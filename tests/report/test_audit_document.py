"""The document's schema, addresses and closure."""

from __future__ import annotations

import jsonschema
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sample_documents import VARIANTS, sample

from costaudit.audit import document as doc
from costaudit.bill.slices import SliceId


def validator() -> jsonschema.Draft202012Validator:
    return jsonschema.Draft202012Validator(doc.schema())


def test_the_schema_is_a_schema():
    jsonschema.Draft202012Validator.check_schema(doc.schema())
    assert doc.schema()["properties"]["schema"]["const"] == doc.SCHEMA


def test_the_schema_knows_the_slices_of_the_bill():
    slices = doc.schema()["properties"]["bill"]["properties"]["slices"]
    assert slices["items"]["properties"]["id"]["enum"] == [str(s) for s in SliceId]


@pytest.mark.parametrize("make", VARIANTS.values(), ids=VARIANTS.keys())
def test_samples_validate_and_explain_every_null(make):
    document = make()
    assert [e.message for e in validator().iter_errors(document)] == []
    assert doc.unexplained_nulls(document) == []


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("phases.decode.mbu", 1.2),
        ("phases.decode.mbu", 43),
        ("phases.prefill.bound", "memory"),
        ("target.kind", "cloud"),
        ("schema", "costaudit.audit/2"),
        ("bill.usd_per_gpu_h", "2.99"),
        ("playbook.0.verdict", None),
        ("playbook.0.rank", 0),
        ("device.peak_flops.value", 0),
        ("unknown.0.why", ""),
    ],
)
def test_the_schema_refuses(path, value):
    document = sample()
    *parents, last = path.split(".")
    node = document
    for key in parents:
        node = node[int(key)] if key.isdecimal() else node[key]
    node[last] = value
    assert list(validator().iter_errors(document))


@pytest.mark.parametrize("place", ["bill", "phases.decode", "playbook.0", "kv_cache", "order"])
def test_no_field_is_added_in_secret_and_none_may_be_missing(place):
    document = sample()
    _, node = doc.lookup(document, place)
    node["surprise"] = 1
    assert list(validator().iter_errors(document))
    del node["surprise"]
    required = {
        "bill": "slices",
        "phases.decode": "itl_s",
        "playbook.0": "why_not",
        "kv_cache": "waste_share",
        "order": "conventional",
    }
    del node[required[place]]
    assert list(validator().iter_errors(document))


def test_a_null_without_a_reason_is_found():
    document = sample()
    document["phases"]["decode"]["mbu"] = None
    assert doc.unexplained_nulls(document) == ["phases.decode.mbu"]
    document["unknown"].append({"what": "phases.decode", "why": "the meter was refused"})
    assert doc.unexplained_nulls(document) == []
    assert doc.why_unknown(document, "phases.decode.mbu") == "the meter was refused"
    assert doc.why_unknown(document, "phases.decoder") == ""


def test_lookup_by_place_and_by_id():
    document = sample()
    assert doc.lookup(document, "bill.slices.padding.share")[0] == "bill.slices.5.share"
    assert doc.lookup(document, "bill.slices.5.id") == ("bill.slices.5.id", "padding")
    for wrong in ("bill.slices.99", "bill.sliced", "schema.x", "bill.slices.-1", ""):
        with pytest.raises(KeyError):
            doc.lookup(document, wrong)


def test_every_leaf_is_found_at_its_path():
    document = sample()
    found = dict(doc.leaves(document))
    assert len(found) > 300
    for path, value in found.items():
        assert doc.lookup(document, path) == (path, value)


@given(st.integers(0, 8), st.floats(1e-6, 1e6))
def test_a_bill_that_does_not_close_is_found(place, seconds):
    document = sample()
    assert doc.does_not_close(document) == ""
    document["bill"]["slices"][place]["gpu_s"] += seconds
    assert "slices sum to" in doc.does_not_close(document)


def test_shares_that_do_not_close_are_found():
    document = sample()
    document["bill"]["slices"][0]["share"] += 1e-6
    assert "shares sum to" in doc.does_not_close(document)
