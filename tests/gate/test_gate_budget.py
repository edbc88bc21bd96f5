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
    first, second = read_budget(written(tmp_path, GOOD))
    assert (first.metric, first.low, first.high) == ("usd_per_1m_tokens", -math.inf, 0.75)
    assert (first.severity, first.owner) == (Severity.ERROR, "platform")
    assert (second.low, second.high, second.severity) == (0.1, 1, Severity.WARN)
    assert valid(GOOD)


BAD = {
    "no lines": ("", "holds no budget"),
    "empty list": ("budget = []", "holds no budget"),
    "not a table": ("budget = [3]", "must be a table"),
    "misspelt key": ('[[budget]]\nmetrik = "x"\nmax = 1', "unknown key 'metrik'"),
    "no limit": ('[[budget]]\nmetric = "x"', "neither max nor min"),
    "limit is text": ('[[budget]]\nmetric = "x"\nmax = "1"', "max must be a number"),
    "bad severity": ('[[budget]]\nmetric = "x"\nmax = 1\nseverity = "fatal"', "unknown severity"),
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
