"""How the tests look at a page: open it at a size, and what the browser noticed meanwhile."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

DESK = (1280, 800)
PHONE = (390, 844)
PAPER = (718, 1000)  # CSS px of A4 between Chromium's usual margins
_ALL_LIVE = """
const done = arguments[0], until = performance.now() + 20000;
const charts = [...document.querySelectorAll("figure.chart")];
const wait = async () => {
    for (const chart of charts) {
        while (!chart.classList.contains("is-live") && performance.now() < until) {
            chart.scrollIntoView();
            await new Promise(tick => setTimeout(tick, 20));
        }
    }
    scrollTo(0, 0);
    done(charts.filter(chart => chart.classList.contains("is-live")).map(chart => chart.id));
};
wait();
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """What the browser noticed while a page was opened."""

    errors: list[str]
    requests: list[str]
    sideways_px: int


def look(browser: Any, address: str, size: tuple[int, int], **media: str) -> Seen:
    """Open a page; `media` are emulated, such as media="print" or scheme="dark"."""
    width, height = size
    browser.execute_cdp_cmd(
        "Emulation.setDeviceMetricsOverride",
        {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": size == PHONE},
    )
    scheme = {"name": "prefers-color-scheme", "value": media.get("scheme", "light")}
    browser.execute_cdp_cmd(
        "Emulation.setEmulatedMedia", {"media": media.get("media", ""), "features": [scheme]}
    )
    for log in ("browser", "performance"):
        browser.get_log(log)  # what an earlier page left
    browser.get(address)
    return noticed(browser, address, width)


def noticed(browser: Any, address: str, width: int) -> Seen:
    """Console errors and requests since the page was opened, and how much too wide it is."""
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


def boxes(browser: Any, selector: str) -> list[dict[str, Any]]:
    """Text and place, in CSS pixels, of all that `selector` finds."""
    return browser.execute_script(
        """return [...document.querySelectorAll(arguments[0])].map(found => {
            const { top, bottom, left, width, height } = found.getBoundingClientRect();
            return { text: found.textContent, top, bottom, left, width, height };
        })""",
        selector,
    )


def live_charts(browser: Any) -> list[str]:
    """Ids of the charts that came to life, after each has been scrolled to."""
    return browser.execute_async_script(_ALL_LIVE)
