"""Two stored recordings, a demo and a vLLM, audited anew: console, Markdown and JSON are pinned.

COSTAUDIT_WRITE_GOLDEN=1 writes them anew; read the difference before you keep it.
"""

from __future__ import annotations

import csv
import datetime as dt
import gzip
import io
import json
import os
from pathlib import Path

import jsonschema
import pytest

from costaudit.audit.build import AuditOptions, build_audit
from costaudit.audit.document import schema
from costaudit.audit.stored import read_stored
from costaudit.report.render import Format, render
from costaudit.report.tables import table_csv, tables

pytestmark = pytest.mark.slow

HERE = Path(__file__).parent
GOLDEN, NAMES = HERE / "golden", ("demo", "vllm")
TODAY = dt.date(2026, 11, 29)
DIGITS = 5  # of a figure that a simulation made: the last ones depend on the processor
LARGEST_MARKDOWN, LARGEST_PAGE = 60_000, 2_000_000


@pytest.fixture(scope="module")
def documents(tmp_path_factory):
    folder, found = tmp_path_factory.mktemp("recordings"), {}
    for name in NAMES:
        path = folder / f"{name}.costaudit"
        packed = (HERE / "recordings" / f"{name}.costaudit.gz").read_bytes()
        path.write_bytes(gzip.decompress(packed))
        options = AuditOptions(usd_per_device_h=0.05, today=TODAY)
        found[name] = build_audit(path, options=options)
    return found


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize(("form", "ending"), [(Format.CONSOLE, "txt"), (Format.MARKDOWN, "md")])
def test_words(documents, name, form, ending):
    check(f"{name}.{ending}", render(documents[name], form))


@pytest.mark.parametrize("name", NAMES)
def test_json(documents, name):
    jsonschema.validate(documents[name], schema())
    check(f"{name}.json", json.dumps(plain(documents[name]), indent=1, ensure_ascii=False) + "\n")


def check(name, text):
    if os.environ.get("COSTAUDIT_WRITE_GOLDEN") == "1":
        (GOLDEN / name).write_text(text, encoding="utf-8")
    assert text == (GOLDEN / name).read_text(encoding="utf-8")


def plain(node, key=""):
    """Without the pages of the steps, which are pinned by their own tests, and without noise."""
    match node:
        case dict():
            return {k: plain(v, k) for k, v in node.items() if k not in {"page", "sources"}}
        case list() if key in {"curve", "t_s", "low", "high", "spans"}:
            return f"{len(node)} entries"
        case list():
            return [plain(item) for item in node]
        case float():
            return float(f"{node:.{DIGITS}g}")
        case _:
            return node


@pytest.mark.parametrize("name", NAMES)
def test_the_page_and_the_json_read_back_as_the_document(documents, name, tmp_path):
    page, text = tmp_path / "page.html", tmp_path / "audit.json"
    page.write_text(render(documents[name], Format.HTML), encoding="utf-8")
    text.write_text(render(documents[name], Format.JSON), encoding="utf-8")
    assert read_stored(page) == read_stored(text) == json.loads(json.dumps(documents[name]))


@pytest.mark.parametrize("name", NAMES)
def test_forms_stay_small(documents, name):
    assert len(render(documents[name], Format.MARKDOWN).encode()) <= LARGEST_MARKDOWN
    assert len(render(documents[name], Format.HTML).encode()) <= LARGEST_PAGE
    for line in render(documents[name], Format.CONSOLE).splitlines():
        assert len(line) <= 80


@pytest.mark.parametrize("name", NAMES)
def test_every_table_is_a_csv(documents, name):
    names = tables(documents[name])
    assert {"bill.slices", "playbook", "unknown", "course.gauges", "workload"} <= set(names)
    for table in names:
        header, *rows = csv.reader(io.StringIO(table_csv(documents[name], table)))
        assert rows
        assert all(len(row) == len(header) for row in rows), table
    slices = csv.DictReader(io.StringIO(table_csv(documents[name], "bill.slices")))
    known = [float(row["share"]) for row in slices if row["share"]]
    assert sum(known) == pytest.approx(1)
