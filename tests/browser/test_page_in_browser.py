"""The report's page in a real browser: whole, quiet, alone, and readable on a phone."""

from __future__ import annotations

import base64
import copy
import json
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest
from looking import DESK, PAPER, PHONE, boxes, live_charts, look, noticed
from parts.axe import axe_source
from parts.cache import NotInstalledError

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.browser

CLIPBOARD = ("clipboardReadWrite", "clipboardSanitizedWrite")
BAD_PAGE = """<!doctype html><title>bad</title><div style="width:2000px">wide</div>
<img src="http://127.0.0.1:9/pixel.png"><script>undefinedFunction()</script>"""
PAYLOAD = "</script><script>window.hacked=1</script><img src=x onerror='window.hacked=1'>'\"{{7*7}}"
KINDS = ["demo", "vllm", "pricing", "trend"]


@pytest.fixture(scope="session")
def documents(checkout: Path) -> dict[str, dict[str, Any]]:
    """The samples of the documentation: real audits, a log that was priced, and a trend."""
    names = {"demo": "sample.json", "vllm": "sample-server.json"}
    found = {kind: json.loads((checkout / "docs" / n).read_text()) for kind, n in names.items()}
    return found | {"pricing": priced(checkout), "trend": drifted(found["demo"])}


def priced(checkout: Path) -> dict[str, Any]:
    """What `costaudit price` says of a published trace, at a capacity that was made up."""
    trace = checkout / "bench/data/traces/servegen_m-large_10min_week1.csv"
    given = ("--capacity", str(checkout / "docs/capacity.toml"), "--price", "3.9", "--json")
    command = [sys.executable, "-m", "costaudit", "price", str(trace), *given]
    return json.loads(subprocess.run(command, capture_output=True, check=True).stdout)


def drifted(document: dict[str, Any]) -> dict[str, Any]:
    """A run three times, the last one at twice the cost."""
    from costaudit.contrast.trend import trend

    dearer = copy.deepcopy(document)
    bill = dearer["bill"]
    for name in ("usd_per_1m_tokens", "gpu_s_per_1m_tokens"):
        bill[name] *= 2
        bill[f"{name}_interval"] = {e: 2 * v for e, v in bill[f"{name}_interval"].items()}
    return trend([("monday", document), ("tuesday", document), ("wednesday", dearer)])


@pytest.fixture(scope="session")
def pages(documents: dict[str, Any], tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    folder = tmp_path_factory.mktemp("pages")
    return {kind: written(folder / f"{kind}.html", doc) for kind, doc in documents.items()}


def written(path: Path, document: dict[str, Any]) -> str:
    from costaudit.report.page import html_page

    path.write_text(html_page(document), encoding="utf-8")
    return path.as_uri()


def test_the_instruments_see_a_bad_page(browser: Any, tmp_path: Path) -> None:
    (tmp_path / "bad.html").write_text(BAD_PAGE)
    seen = look(browser, (tmp_path / "bad.html").as_uri(), DESK)
    assert any("undefinedFunction" in error for error in seen.errors)
    assert any("pixel.png" in url for url in seen.requests)
    assert seen.sideways_px > 0


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("size", [DESK, PHONE], ids=["desk", "phone"])
def test_every_chart_comes_to_life_and_the_page_stays_quiet_alone_and_never_too_wide(
    browser: Any, pages: dict[str, str], size: tuple[int, int], kind: str
) -> None:
    seen = look(browser, pages[kind], size)
    assert seen.errors == []
    assert seen.requests == []
    figures = [box["text"] for box in boxes(browser, "figure.chart")]
    assert len(live_charts(browser)) == len(figures) > (kind != "trend")
    for chart in boxes(browser, "figure.chart .live svg"):
        assert chart["width"] > 0.7 * min(size[0] - 60, 600)
        assert chart["height"] > 50
    after = noticed(browser, pages[kind], size[0])
    assert (after.errors, after.requests) == ([], [])
    assert after.sideways_px <= 0


def test_the_first_screen_holds_the_verdict_the_bill_and_the_first_three_steps(
    browser: Any, pages: dict[str, str], documents: dict[str, Any]
) -> None:
    look(browser, pages["demo"], DESK)
    document = documents["demo"]
    titles = {step["id"]: step["title"] for step in document["playbook"]}
    first = [titles[step] for step in document["order"]["best"][:3]]
    cards = boxes(browser, "#first .cards h3")
    assert [card["text"].lstrip("123") for card in cards] == first
    seen = [
        box
        for s in ("h1", ".amounts dd", "#chart-waterfall .plot svg", "#first .cards li")
        for box in boxes(browser, s)
        if box["width"]
    ]
    assert len(seen) >= 1 + 2 + 1 + 3
    for box in seen:
        assert 0 < box["top"] < box["bottom"] <= DESK[1], box["text"]
    assert len(boxes(browser, "#first .setting")) == 3


def test_the_waterfall_draws_each_slice_as_wide_as_its_share(
    browser: Any, pages: dict[str, str], documents: dict[str, Any]
) -> None:
    look(browser, pages["demo"], DESK)
    live_charts(browser)
    drawn = [bar["width"] for bar in boxes(browser, "#chart-waterfall .live .mark-rect path")]
    slices = documents["demo"]["bill"]["slices"]
    shares = [abs(s["share"]) for s in slices if s["share"] is not None and abs(s["share"]) > 5e-4]
    assert len(drawn) == len(shares)
    scale = sum(drawn) / sum(shares)
    for width, share in zip(drawn, shares, strict=True):
        assert width == pytest.approx(share * scale, abs=3)


def test_pointing_at_a_bar_tells_its_slice(browser: Any, pages: dict[str, str]) -> None:
    from selenium.webdriver import ActionChains

    look(browser, pages["demo"], DESK)
    live_charts(browser)
    bars = browser.find_elements("css selector", "#chart-waterfall .live .mark-rect path")
    ActionChains(browser).move_to_element(max(bars, key=lambda b: b.size["width"])).perform()
    (tip,) = boxes(browser, ".tip")
    assert "share" in tip["text"]
    assert "%" in tip["text"]
    assert tip["width"] > 0
    ActionChains(browser).send_keys("\ue00c").perform()  # Escape
    assert boxes(browser, ".tip")[0]["width"] == 0


def test_a_snippet_is_copied_by_its_button(browser: Any, pages: dict[str, str]) -> None:
    look(browser, pages["demo"], DESK)
    browser.execute_cdp_cmd("Browser.grantPermissions", {"permissions": list(CLIPBOARD)})
    button = browser.find_element("css selector", "button.copy")
    snippet = browser.find_element("css selector", ".snippet code").get_attribute("textContent")
    browser.execute_script("arguments[0].scrollIntoView({block: 'center'})", button)
    button.click()
    read = "navigator.clipboard.readText().then(arguments[0], arguments[0])"
    assert browser.execute_async_script(read) == snippet
    assert button.text == "copied"


def test_keys_alone_reach_the_steps_and_their_buttons(browser: Any, pages: dict[str, str]) -> None:
    from selenium.webdriver import ActionChains

    look(browser, pages["demo"], DESK)
    ActionChains(browser).send_keys("\ue004", "\ue007").perform()  # Tab, Enter
    assert "#step-" in browser.current_url
    names = set()
    for _ in range(12):
        ActionChains(browser).send_keys("\ue004").perform()
        names.add(browser.execute_script("return document.activeElement.className"))
    assert "copy" in names


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("kind", KINDS)
def test_axe_finds_no_serious_violation(
    browser: Any, pages: dict[str, str], kind: str, scheme: str
) -> None:
    look(browser, pages[kind], PHONE if kind == "vllm" else DESK, scheme=scheme)
    live_charts(browser)
    found = violations(browser)
    assert [f"{v['id']}: {v['nodes'][0]['html'][:120]}" for v in found] == []


def violations(browser: Any) -> list[dict[str, Any]]:
    try:
        script = axe_source()
    except NotInstalledError as err:
        pytest.skip(str(err))
    browser.execute_script(script)
    run = "axe.run(document, {resultTypes: ['violations']}).then(r => arguments[0](r.violations))"
    found = browser.execute_async_script(run)
    return [v for v in found if v["impact"] in ("serious", "critical")]


def test_axe_sees_a_bad_page(browser: Any, tmp_path: Path) -> None:
    (tmp_path / "bad.html").write_text("<!doctype html><title>x</title><img src='data:,'>")
    look(browser, (tmp_path / "bad.html").as_uri(), DESK)
    assert violations(browser)


def test_dark_is_dark(browser: Any, pages: dict[str, str]) -> None:
    colour = "return getComputedStyle(document.body).backgroundColor.match(/\\d+/g).map(Number)"
    fill = "return getComputedStyle(document.querySelector('.live .mark-rect path')).fill"
    told = {}
    for scheme in ("light", "dark"):
        look(browser, pages["demo"], DESK, scheme=scheme)
        live_charts(browser)
        told[scheme] = (sum(browser.execute_script(colour)), browser.execute_script(fill))
    assert told["dark"][0] < 150
    assert told["light"][0] > 600
    assert told["dark"][1] != told["light"][1]


@pytest.mark.parametrize("kind", KINDS)
def test_paper_has_still_pictures_and_no_table_is_cut(
    browser: Any, pages: dict[str, str], kind: str
) -> None:
    look(browser, pages[kind], PAPER, media="print")
    live_charts(browser)
    stills, lives = (boxes(browser, f"figure.chart .{part}") for part in ("still", "live"))
    assert all(still["width"] > 0 for still in stills)
    assert all(live["width"] == 0 for live in lives)
    for table in boxes(browser, "table"):
        assert table["left"] + table["width"] <= PAPER[0] + 1, table["text"][:60]
    pdf = browser.execute_cdp_cmd("Page.printToPDF", {"printBackground": True})["data"]
    assert base64.b64decode(pdf).startswith(b"%PDF")


def test_without_scripts_the_pictures_stand(browser: Any, pages: dict[str, str]) -> None:
    browser.execute_cdp_cmd("Emulation.setScriptExecutionDisabled", {"value": True})
    try:
        look(browser, pages["demo"], DESK)
        assert len(boxes(browser, ".still svg")) >= 3
        assert all(picture["width"] > 300 for picture in boxes(browser, ".still svg"))
        assert boxes(browser, ".live") == []
    finally:
        browser.execute_cdp_cmd("Emulation.setScriptExecutionDisabled", {"value": False})


@pytest.mark.parametrize("kind", KINDS)
def test_a_hostile_run_executes_nothing(
    browser: Any, documents: dict[str, Any], tmp_path: Path, kind: str
) -> None:
    address = written(tmp_path / "hostile.html", poisoned(documents[kind]))
    seen = look(browser, address, DESK)
    live_charts(browser)
    assert browser.execute_script("return window.hacked === undefined")
    assert browser.execute_script("return document.images.length") == 0
    assert len(boxes(browser, "script:not([type])")) == 2
    assert (seen.errors, seen.requests) == ([], [])
    assert noticed(browser, address, DESK[0]).sideways_px <= 0
    assert "{{7*7}}" in browser.find_element("css selector", "body").text


WORDS = (  # of a closed set, or names that other parts of the document refer to
    *("id", "verdict", "effort", "risk", "confidence", "kind", "schema", "category", "unit"),
    *("origin", "bound", "weights", "inside", "best", "ids", "needed_by", "what", "form"),
)


def poisoned(node: Any, key: str = "") -> Any:
    """Every text of a document with markup and script in it, save those of a closed set."""
    match node:
        case dict():
            return {name: poisoned(value, name) for name, value in node.items()}
        case list():
            return [poisoned(item, key) for item in node]
        case str() if key not in WORDS:
            return f"{node} {PAYLOAD}"
        case _:
            return node
