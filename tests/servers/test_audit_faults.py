"""Whatever a server does in mid-audit: one sentence, a hint, an exit code, answers so far kept."""

from __future__ import annotations

import json
import signal
import ssl
import subprocess
import sys
import time
from types import SimpleNamespace

import pytest
from paced_profile import SECONDS, command, profile, sentence_of
from paced_server import Paced, paced_server

from costaudit.cli.main import run
from costaudit.ground.errors import UsageError
from costaudit.recording.recording import Recording

pytestmark = [pytest.mark.slow, pytest.mark.timeout(120)]


def profiled_here(capsys, url, path):
    """As `profile`, within this process: for what needs no start of its own."""
    code = run(command(url, path)[3:])
    told = capsys.readouterr()
    return SimpleNamespace(returncode=code, stdout=told.out, stderr=told.err)


def from_the(number, fault):
    return lambda generation: fault if generation >= number else ""


FAULTS = {
    "401": ("key", 4, "refuses us (HTTP 401): Unauthorized", "COSTAUDIT_API_KEY"),
    "403": ("forbidden", 4, "this key may not use the model", "COSTAUDIT_API_KEY"),
    "429": ("busy", 4, "turns requests away (HTTP 429): slow down", "overloaded"),
    "503": ("gone", 4, "turns requests away (HTTP 503): engine is dead", "its log"),
    "too long": ("long", 2, "too long for the server: This model's maximum", "shorter prompts"),
    "model gone": ("model", 2, "has no model 'paced'", "--model"),
    "a page": ("page", 4, "the answer is an HTML page", "--resume"),
    "reset": ("reset", 4, "reset the connection", "--resume"),
    "error event": ("event", 4, "EngineCore encountered an issue", "--resume"),
    "dies": ("die", 4, "127.0.0.1", "--resume"),
}


@pytest.mark.parametrize("case", FAULTS)
@pytest.mark.parametrize("number", [20, 150], ids=["first probes", "bursts"])
def test_a_fault_in_mid_run(tmp_path, capsys, case, number):
    fault, code, says, hint = FAULTS[case]
    path, paced = tmp_path / "run.costaudit", Paced(fault=from_the(number, fault))
    with paced_server(paced) as url:
        done = profiled_here(capsys, url, path)
    assert done.returncode == code
    assert says in sentence_of(done)
    assert hint in done.stderr
    assert done.stdout == ""
    with Recording.read(path) as kept:
        assert sum(answer.ok for answer in kept.answers()) >= number // 2
        assert any(answer.error for answer in kept.answers())
    assert paced.generations < number + 60  # it does not hammer at a closed door


def test_a_failure_now_and_then_ends_nothing_and_is_counted(tmp_path):
    path = tmp_path / "run.costaudit"
    with paced_server(Paced(fault=lambda n: "busy" if n > 60 and n % 25 == 0 else "")) as url:
        done = profile(url, path, "--json")
    assert done.returncode in (0, 3), done.stderr
    replay = json.loads(done.stdout)["server"]["replay"]
    assert replay["failed"] > 0


def test_a_replay_that_mostly_fails_claims_no_dollars(tmp_path):
    path = tmp_path / "run.costaudit"
    with paced_server(Paced(fault=lambda n: "busy" if n > 300 and n % 2 == 0 else "")) as url:
        done = profile(url, path, "--json")
    assert done.returncode == 3, done.stderr
    document = json.loads(done.stdout)
    assert "requests of the replay failed: HTTP 429: slow down" in sentence_of(done)
    assert document["bill"]["usd_per_1m_tokens"] is None
    assert document["bill"]["gpu_s_per_1m_tokens_interval"]["low"] > 0


def test_a_server_that_hangs_costs_no_more_than_the_time_asked_for(tmp_path):
    began_s = time.monotonic()
    with paced_server(Paced(fault=from_the(60, "hang"))) as url:
        done = profile(url, tmp_path / "run.costaudit")
    assert time.monotonic() - began_s < 1.5 * SECONDS + 5
    assert done.returncode == 3
    assert "ended before its workload was replayed" in sentence_of(done)


@pytest.mark.parametrize(
    ("sign", "rung"),
    [(signal.SIGINT, "decode-1x32#0"), (signal.SIGKILL, "replay")],
    ids=["Ctrl-C in the probes", "kill -9 in the replay"],
)
def test_a_stopped_run_leaves_no_request_and_goes_on(tmp_path, sign, rung):
    path, paced = tmp_path / "run.costaudit", Paced(step_s=0.002)
    with paced_server(paced) as url:
        process = subprocess.Popen(command(url, path), stderr=subprocess.PIPE, text=True)
        while not answered(path, rung) and process.poll() is None:
            time.sleep(0.02)
        process.send_signal(sign)
        said = process.communicate(timeout=30)[1]
        quiet(paced)
        if sign is signal.SIGINT:
            assert process.returncode == 130
            assert f"--resume {path}" in said
        first = paced.generations
        own = ("profile", "--resume", str(path), "--json", "--price", "1")
        done = subprocess.run(
            [sys.executable, "-m", "costaudit", *own],
            check=False,
            capture_output=True,
            text=True,
            timeout=90,
        )
        assert paced.generations > first
    assert done.returncode in (0, 3), done.stderr
    document = json.loads(done.stdout)
    assert document["server"]["replay"]["sent"] > 0
    with Recording.read(path) as kept:
        assert all(task.done for task in kept.tasks())
        for task in {answer.task for answer in kept.answers()}:
            numbers = [answer.number for answer in kept.answers(task)]
            assert len(numbers) == len(set(numbers))  # what never ended was begun anew


def answered(path, rung):
    """Some answers of a rung are written down."""
    if not path.exists():
        return False
    try:
        with Recording.read(path) as recording:
            return bool(recording.answers(rung))
    except UsageError:  # it is being made
        return False


def quiet(paced):
    """Wait until nothing runs on the server."""
    until_s = time.monotonic() + 5
    while paced.running and time.monotonic() < until_s:
        time.sleep(0.05)
    assert paced.running == 0


def test_a_key_is_asked_for_and_never_written(tmp_path):
    path, key = tmp_path / "run.costaudit", "a-secret-of-ours"
    with paced_server(Paced(key=key)) as url:
        done = profile(url, path)
        assert done.returncode == 4
        assert "it wants an API key" in sentence_of(done)
        assert not path.exists()
        done = profile(url, path, COSTAUDIT_API_KEY=key)
    assert done.returncode in (0, 3), done.stderr
    assert key not in done.stdout + done.stderr
    assert key.encode() not in path.read_bytes()


def test_nothing_listens_and_wrong_names(tmp_path):
    path = tmp_path / "run.costaudit"
    done = profile("http://127.0.0.1:9", path)
    assert done.returncode == 4
    assert "nothing listens at 127.0.0.1:9" in sentence_of(done)
    with paced_server(Paced()) as url:
        done = profile(url, path, "--model", "other")
        assert done.returncode == 2
        assert "'other'" in sentence_of(done)
        assert "paced" in done.stderr
        done = profile(f"{url}/v1/v1/models", path, "--dry-run")
        assert done.returncode == 0
        assert f"taken as {url}" in done.stdout
    assert not path.exists()


def test_a_certificate_that_nobody_vouches_for(tmp_path, self_signed):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(self_signed)
    path = tmp_path / "run.costaudit"
    with paced_server(Paced(), context=context) as url:
        done = profile(url, path)
        assert done.returncode == 4
        assert "is not trusted" in sentence_of(done)
        assert "--insecure" in done.stderr
        done = profile(url, path, "--insecure", "--rung", "2x4")
        assert done.returncode == 0, done.stderr
        done = profile(url.replace("https", "http"), tmp_path / "other.costaudit")
        assert done.returncode == 4
        sentence_of(done)


@pytest.fixture
def self_signed(tmp_path):
    place = tmp_path / "own.pem"
    made = subprocess.run(
        [
            *("openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2"),
            *("-subj", "/CN=127.0.0.1", "-keyout", str(place), "-out", str(tmp_path / "cert.pem")),
        ],
        check=False,
        capture_output=True,
    )
    if made.returncode:
        pytest.skip("no openssl here")
    with place.open("a") as both:
        both.write((tmp_path / "cert.pem").read_text())
    return place
