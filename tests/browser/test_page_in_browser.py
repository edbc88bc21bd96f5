"""The report's page in a real browser: whole, quiet, alone, and readable on a phone."""

from __future__ import annotations

import json
import shutil
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = pytest.mark.browser

DESK = (1280, 800)
PHONE = (390, 844)
CLIPBOARD = ("clipboardReadWrite", "clipboardSanitizedWrite")
BAD_PAGE = """<!doctype html><title>bad</title><div style="width:2000px">wide</div>
<img src="http://127.0.0.1:9/pixel.png"><script>undefinedFunction()</script>"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """What the browser noticed while a page was opened."""

    errors: list[str]
    requests: list[str]
    sideways_px: int


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    chromium = shutil.which("chromium") or shutil.which("google-chrome")
    driver = shutil.which("chromedriver")
    if not chromium or not driver:
        pytest.skip("no Chromium here: apt-get install chromium chromium-driver")
    webdriver = pytest.importorskip("selenium.webdriver")
    options = webdriver.ChromeOptions()
    options.binary_location = chromium
    for flag in ("--headless=new", "--no-sandbox", "--disable-dev-shm-usage", "--disable-gpu"):
        options.add_argument(flag)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    chrome = webdriver.Chrome(options=options, service=webdriver.ChromeService(driver))
    yield chrome
    chrome.quit()


@pytest.fixture(scope="module")
def document(checkout: Path) -> dict[str, Any]:
    return json.loads((checkout / "tests/report/sample_audit.json").read_text())


@pytest.fixture(scope="module")
def page(document: dict[str, Any], tmp_path_factory: pytest.TempPathFactory) -> str:
    from costaudit.report.page import html_page

    path = tmp_path_factory.mktemp("page") / "report.html"
    path.write_text(html_page(document), encoding="utf-8")
    return path.as_uri()


def look(browser: Any, address: str, size: tuple[int, int]) -> Seen:
    width, height = size
    browser.execute_cdp_cmd(
        "Emulation.setDeviceMetricsOverride",
        {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": size == PHONE},
    )
    for log in ("browser", "performance"):
        browser.get_log(log)  # what an earlier page left
    browser.get(address)
    sent = [
        message["params"]["request"]["url"]
        for entry in browser.get_log("performance")
        if (message := json.loads(entry["message"])["message"])["method"]
        == "Network.requestWillBeSent"
    ]
    return Seen(
        errors=[entry["message"] for entry in browser.get_log("browser")],
        requests=[url for url in sent if url != address and not url.startswith("data:")],
        sideways_px=browser.execute_script(
            "const page = document.scrollingElement; return page.scrollWidth - arguments[0]",
            width,
        ),
    )


def test_the_instruments_see_a_bad_page(browser: Any, tmp_path: Path) -> None:
    (tmp_path / "bad.html").write_text(BAD_PAGE)
    seen = look(browser, (tmp_path / "bad.html").as_uri(), DESK)
    assert any("undefinedFunction" in error for error in seen.errors)
    assert any("pixel.png" in url for url in seen.requests)
    assert seen.sideways_px > 0


@pytest.mark.parametrize("size", [DESK, PHONE], ids=["desk", "phone"])
def test_the_page_is_quiet_alone_and_never_too_wide(
    browser: Any, page: str, size: tuple[int, int]
) -> None:
    seen = look(browser, page, size)
    assert seen.errors == []
    assert seen.requests == []
    assert seen.sideways_px <= 0


def boxes(browser: Any, selector: str) -> list[dict[str, Any]]:
    """Text and place, in CSS pixels, of all that `selector` finds."""
    return browser.execute_script(
        """return [...document.querySelectorAll(arguments[0])].map(found => {
            const { top, bottom, width } = found.getBoundingClientRect();
            return { text: found.textContent, top, bottom, width };
        })""",
        selector,
    )


def test_the_first_screen_holds_the_cost_and_the_first_three_steps(
    browser: Any, page: str, document: dict[str, Any]
) -> None:
    look(browser, page, DESK)
    titles = {step["id"]: step["title"] for step in document["playbook"]}
    first = [titles[step] for step in document["order"]["best"][:3]]
    assert [card["text"] for card in boxes(browser, "#first .cards h3")] == first
    for seen in [*boxes(browser, ".cost b"), *boxes(browser, "#first .cards li")]:
        assert 0 < seen["top"] < seen["bottom"] <= DESK[1]
        assert seen["width"] > 0


def test_the_waterfall_draws_each_slice_as_wide_as_its_share(
    browser: Any, page: str, document: dict[str, Any]
) -> None:
    look(browser, page, DESK)
    shares = [s["share"] for s in document["bill"]["slices"] if s["share"] is not None]
    assert boxes(browser, "#bill h2")[0]["top"] < DESK[1], "it begins on the first screen"
    drawn = [bar["width"] for bar in boxes(browser, ".waterfall .fill")]
    whole = boxes(browser, ".waterfall .track")[0]["width"]
    assert len(drawn) == len(shares)
    for width, share in zip(drawn, shares, strict=True):
        assert width == pytest.approx(share * whole, abs=2)


def test_a_snippet_is_copied_by_its_button(browser: Any, page: str) -> None:
    look(browser, page, DESK)
    browser.execute_cdp_cmd("Browser.grantPermissions", {"permissions": list(CLIPBOARD)})
    button = browser.find_element("css selector", "button.copy")
    snippet = browser.find_element("css selector", ".snippet code").get_attribute("textContent")
    browser.execute_script("arguments[0].scrollIntoView()", button)
    button.click()
    read = "navigator.clipboard.readText().then(arguments[0], arguments[0])"
    assert browser.execute_async_script(read) == snippet
    assert button.text == "copied"
