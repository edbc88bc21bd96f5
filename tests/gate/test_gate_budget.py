"""Reading a budget file."""

from __future__ import annotations

import json
import math
import tomllib
from pathlib import Path

import jsonschema
import pytest

import costaudit.gate
from costaudit.gate.budget import Severity, read_budget
from costaudit.ground.errors import UsageError

GOOD = """
schema = "costaudit.budget/1"
[[budget]]
metric = "usd_per_1m_tokens"
max = 0.75
owner = "platform"
reason = "the contract says one dollar"
[[budget]]
metric = "decode_mbu"
min = 0.1
max = 1
severity = "warn"
"""
SCHEMA = Path(costaudit.gate.__file__).parent / "budget.schema.json"


def written(folder: Path, text: str) -> Path:
    path = folder / "budget.toml"
    path.write_text(text, encoding="utf-8")
    return path


def valid(text: str) -> bool:
    schema = json.loads(SCHEMA.read_text(encoding="utf-8"))
    jsonschema.Draft202012Validator.check_schema(schema)
    return jsonschema.Draft202012Validator(schema).is_valid(tomllib.loads(text))


def test_a_budget_is_read(tmp_path):
    budget = read_budget(written(tmp_path, GOOD))
    first, second = budget.limits
    assert (first.line, second.line) == (3, 8)
    assert (first.metric, first.low, first.high) == ("usd_per_1m_tokens", -math.inf, 0.75)
    assert (first.severity, first.owner) == (Severity.ERROR, "platform")
    assert (second.low, second.high, second.severity) == (0.1, 1, Severity.WARN)
    assert valid(GOOD)


RELATIVE = """
[demand]
requests_per_month = 1e6
[[budget]]
metric = "usd_per_1m_tokens"
max = 1.0
margin = 0.05
  [[ budget ]]
metric = "computed_tokens"
margin = 0
severity = "warn"
"""


def test_relative_lines_and_the_declared_demand(tmp_path):
    budget = read_budget(written(tmp_path, RELATIVE))
    assert valid(RELATIVE)
    assert budget.requests_per_month == 1e6
    assert [limit.metric for limit in budget.limits] == ["usd_per_1m_tokens"]
    assert [(m.metric, m.margin, m.line) for m in budget.margins] == [
        ("usd_per_1m_tokens", 0.05, 4),
        ("computed_tokens", 0, 8),
    ]


def test_lines_written_in_another_way_are_shown_at_the_top(tmp_path):
    text = 'budget = [{metric = "ttft_p95_s", max = 1}, {metric = "itl_p95_s", max = 1}]'
    assert valid(text)
    assert [limit.line for limit in read_budget(written(tmp_path, text)).limits] == [1, 1]


BAD = {
    "no lines": ("", "holds no budget"),
    "empty list": ("budget = []", "holds no budget"),
    "not a table": ("budget = [3]", "must be a table"),
    "misspelt key": ('[[budget]]\nmetrik = "x"\nmax = 1', "unknown key 'metrik'"),
    "no limit": ('[[budget]]\nmetric = "x"', "neither max nor min nor margin"),
    "limit is text": ('[[budget]]\nmetric = "x"\nmax = "1"', "max must be a number"),
    "bad severity": ('[[budget]]\nmetric = "x"\nmax = 1\nseverity = "fatal"', "unknown severity"),
    "margin above one": ('[[budget]]\nmetric = "x"\nmargin = 5', "outside 0 … 1"),
    "negative margin": ('[[budget]]\nmetric = "x"\nmargin = -0.1', "outside 0 … 1"),
    "odd demand": ('demand = 3\n[[budget]]\nmetric = "x"\nmax = 1', "demand must be a table"),
    "empty demand": ('[demand]\n[[budget]]\nmetric = "x"\nmax = 1', "must be a number"),
    "bad schema": ('schema = "2"\n[[budget]]\nmetric = "x"\nmax = 1', "schema '2'"),
}


@pytest.mark.parametrize(("text", "message"), BAD.values(), ids=BAD.keys())
def test_what_the_reader_refuses_the_shipped_schema_refuses_too(tmp_path, text, message):
    with pytest.raises(UsageError, match=message):
        read_budget(written(tmp_path, text))
    assert not valid(text)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("not toml", "is not valid TOML"),
        ('[[budget]]\nmetric = "x"\nmax = nan', "outside"),
        ('[[budget]]\nmetric = "x"\nmin = 2\nmax = 1', "min = 2 is above max = 1"),
    ],
)
def test_what_no_schema_can_say(tmp_path, text, message):
    with pytest.raises(UsageError, match=message):
        read_budget(written(tmp_path, text))


def test_a_missing_budget(tmp_path):
    with pytest.raises(UsageError, match="No such file"):
        read_budget(tmp_path / "none.toml")
