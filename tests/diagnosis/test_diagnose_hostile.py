"""Servers that misbehave: bounded in time and memory, one clear sentence, exit code 4."""

from __future__ import annotations

import subprocess
import sys
import time
from contextlib import ExitStack
from itertools import pairwise

import hostile_server as hostile
import pytest

LIMIT_BYTES = 700 << 20
RUN = (
    "import sys; from costaudit.cli.main import run; code = run(sys.argv[1:]);"
    "own = open('/proc/self/status').read();"  # ru_maxrss would count the parent's, too
    "print(int(own.split('VmHWM:')[1].split()[0]) * 1024, file=sys.stderr);"
    "sys.exit(code)"
)


PAGES = (
    hostile.huge,
    hostile.endless,
    hostile.dripping,
    hostile.bomb,
    hostile.html,
    hostile.redirected,
    hostile.elsewhere,
    hostile.failing,
    hostile.noise,
)


def started(url, *flags):
    return subprocess.Popen(
        [sys.executable, "-c", RUN, "diagnose", url, *flags],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def ended(process):
    """(exit code, stdout, what was said, peak bytes) of the command."""
    out, err = process.communicate(timeout=90)
    *said, peak = err.strip().splitlines()
    return process.returncode, out, said, int(peak)


def diagnose(url, *flags):
    return ended(started(url, *flags))


@pytest.mark.slow
def test_a_bad_page_is_one_sentence_in_bounded_time_and_memory():
    began = time.monotonic()
    with ExitStack() as stack:
        urls = [stack.enter_context(hostile.serving(page))[0] for page in PAGES]
        processes = [started(url, "--seconds", "3") for url in urls]
        results = [ended(process) for process in processes]  # side by side: most of it is waiting
    assert time.monotonic() - began < 60
    for page, (code, out, said, peak) in zip(PAGES, results, strict=True):
        assert code == 4, (page, out, said)
        assert out == ""
        assert said[0].startswith("costaudit: ")
        assert "/metrics" in said[0]
        assert len(said) <= 2, (page, said)
        assert not any("fault of costaudit" in line for line in said), (page, said)
        assert peak < LIMIT_BYTES, page


def test_a_server_that_is_not_there():
    code, _, said, _ = diagnose("http://127.0.0.1:9", "--seconds", "1")
    assert code == 4
    assert "127.0.0.1:9" in said[0]


@pytest.mark.slow
def test_at_most_one_request_a_second_all_reads_and_on_the_list():
    with hostile.serving(hostile.good) as (url, asked):
        code, out, _, _ = diagnose(url, "--seconds", "9")
    assert code == 0
    assert "idle" in out
    times = [at for at, _, _ in asked]
    assert min(after - before for before, after in pairwise(times)) > 1.0
    assert {method for _, method, _ in asked} == {"GET"}
    known = {"/metrics", "/v1/models", "/version", "/server_info?config_format=json"}
    assert {path for _, _, path in asked} <= known
    assert len(asked) >= 6


@pytest.mark.slow
def test_a_server_that_breaks_in_the_middle_still_gives_what_was_read(tmp_path):
    left = [7]

    def page(handler):
        left[0] -= 1
        (hostile.good if left[0] > 0 else hostile.failing)(handler)

    with hostile.serving(page) as (url, _):
        code, out, said, _ = diagnose(url, "--seconds", "14", "--save", str(tmp_path / "b"))
    assert code == 4
    assert "idle" in out
    assert "it stopped answering: " in out
    # Where it takes long, lines of progress come before.
    errors = [line for line in said if "reading metrics" not in line]
    assert errors[0].startswith("costaudit: the server stopped answering: ")
    assert len(list((tmp_path / "b").glob("*.prom"))) == 5
