"""The HTML page: self-contained, strict, escaped, and its pictures in their frames."""

from __future__ import annotations

import base64
import hashlib
import re
import shutil
import subprocess
from html.parser import HTMLParser

import pytest
from sample_documents import VARIANTS, hostile, sample

from costaudit.report.figure import figures_of
from costaudit.report.render import Format, render

VOID = {"meta"}


class Page(HTMLParser):
    """Tags, attributes and whether every element is closed in order."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.open: list[str] = []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag):
        assert self.open.pop() == tag


@pytest.mark.parametrize("make", VARIANTS.values(), ids=VARIANTS.keys())
def test_the_page_is_well_formed_and_loads_nothing(make):
    text = render(make(), Format.HTML)
    page = Page(text)
    assert page.open == []
    names = {tag for tag, _ in page.tags}
    assert not names & {"link", "img", "iframe", "object", "embed", "base", "form", "video"}
    for tag, attributes in page.tags:
        assert not {"src", "style", "srcset", "action"} & attributes.keys(), tag
        assert not [name for name in attributes if name.startswith("on")]
        assert (attributes.get("href") or "#").startswith("#")
    style = re.search(r"<style>(.*?)</style>", text, re.DOTALL)[1]
    assert "url(" not in style
    assert "@import" not in style


def test_the_policy_allows_this_style_and_these_scripts_only():
    text = render(sample(), Format.HTML)
    metas = [a for tag, a in Page(text).tags if tag == "meta"]
    policy = next(a["content"] for a in metas if a.get("http-equiv") == "Content-Security-Policy")
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    assert "http" not in policy
    for tag, count in (("style", 1), ("script", 2)):
        bodies = re.findall(rf"<{tag}>(.*?)</{tag}>", text, re.DOTALL)
        assert len(bodies) == count
        hashes = [hashlib.sha256(body.encode()).digest() for body in bodies]
        allowed = " ".join(f"'sha256-{base64.b64encode(h).decode()}'" for h in hashes)
        assert f"{tag}-src {allowed};" in policy


def test_hostile_names_stay_text():
    text = render(hostile(), Format.HTML)
    assert text.count("<script>") == 2
    assert "&lt;script&gt;alert" in text
    assert "{{ 7*7 }}" in text
    scripts = [a for tag, a in Page(text).tags if tag == "script"]
    assert [a for a in scripts if a.get("type") != "application/json"] == [{}, {}]


def test_the_page_is_as_complete_as_the_document():
    text = render(sample(), Format.HTML)
    for step in sample()["playbook"]:
        assert step["id"] in text
        if step["snippet"]:
            assert step["snippet"]["text"].splitlines()[-1] in text
    for order in sample()["order"]["conventional"]:
        assert order["name"] in text
    assert set(re.findall(r'<figure class="chart" id="chart-([\w-]+)"', text)) >= {
        "orders",
        "roofline",
    }
    assert "SYNTHETIC" in text


def test_a_bill_that_claims_too_much_is_still_drawn():
    document = sample()
    document["bill"]["slices"][-1] |= {"gpu_s": -20.0, "share": -0.05}
    assert "-5.0\N{NO-BREAK SPACE}%" in figures_of(document)["waterfall"].svg
    assert render(document, Format.CONSOLE)


@pytest.mark.slow
@pytest.mark.browser
@pytest.mark.skipif(shutil.which("chromium") is None, reason="chromium is not installed")
def test_a_browser_shows_the_page_without_complaint(tmp_path):
    page = tmp_path / "page.html"
    page.write_text(render(sample(), Format.HTML), encoding="utf-8")
    flags = ["--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-sync"]
    flags += ["--disable-background-networking", "--disable-component-update"]
    flags += ["--enable-logging=stderr", f"--user-data-dir={tmp_path / 'profile'}"]
    done = subprocess.run(
        ["chromium", *flags, "--dump-dom", page.as_uri()],
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
    )
    assert "Content Security Policy" not in done.stderr
    assert "CONSOLE" not in done.stderr
    assert "hidden" not in re.search(r'<button[^>]*class="copy"[^>]*>', done.stdout)[0]
