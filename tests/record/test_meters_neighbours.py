"""Whose the cores of a local server are, on this machine and its real processes."""

import contextlib
import socket
import subprocess
import sys
import time

import psutil
import pytest

from costaudit.record.meters import neighbours
from costaudit.record.meters.neighbours import Neighbours, open_neighbours
from costaudit.recording.rows import Instrument, State

# Listens, starts a child that burns, and sleeps itself: the child's time is the server's too.
SERVER = """
import socket, subprocess, sys, time
own = socket.create_server(("127.0.0.1", 0))
child = subprocess.Popen([sys.executable, "-c", "while True: pass"])
print(own.getsockname()[1], child.pid, flush=True)
sys.stdin.read()
child.kill()
"""


@contextlib.contextmanager
def burning_server():
    server = subprocess.Popen(
        [sys.executable, "-c", SERVER], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    try:
        port, child = server.stdout.readline().split()
        yield int(port), psutil.Process(int(child))
    finally:
        server.stdin.close()
        server.wait(timeout=10)
        server.stdout.close()


def spent_s(process):
    return sum(process.cpu_times()[:2])


def test_a_server_is_its_whole_tree_and_others_are_the_rest():
    with burning_server() as (port, child):
        meter = open_neighbours(f"http://127.0.0.1:{port}")
        assert isinstance(meter, Neighbours)
        before_s, began_s = spent_s(child), time.monotonic()
        time.sleep(1.2)
        told = {gauge.name: gauge.value for gauge in meter.sample(1.2)}
        passed = time.monotonic() - began_s
        burnt = (spent_s(child) - before_s) / passed
    assert burnt > 0.02
    assert told["server"] == pytest.approx(burnt, abs=0.15)
    cores = psutil.cpu_count()
    assert sum(told[n] for n in ("server", "own", "others", "steal", "idle")) == pytest.approx(
        cores, rel=0.15
    )
    assert 0 <= told.get("waiting_share", 0.0) <= 1


def test_it_reads_once_a_second():
    with burning_server() as (port, _):
        meter = open_neighbours(f"http://localhost:{port}")
        assert meter.sample(0.1) == ()


@pytest.mark.parametrize("url", ["http://192.0.2.1:8000", "https://no-such-host.invalid"])
def test_another_machine_s_cores_are_not_seen(url):
    state = open_neighbours(url)
    assert isinstance(state, Instrument)
    assert state.state is State.ABSENT
    assert "not on this machine" in state.why


def test_a_port_that_nobody_is_seen_at():
    with socket.create_server(("127.0.0.1", 0)) as own:
        port = own.getsockname()[1]
    state = open_neighbours(f"http://127.0.0.1:{port}")
    assert state.state is State.REFUSED
    assert str(port) in state.why


def test_a_forwarder_is_not_taken_for_the_server(monkeypatch):
    monkeypatch.setattr(neighbours, "FORWARDERS", {psutil.Process().name()})
    with socket.create_server(("127.0.0.1", 0)) as own:
        state = open_neighbours(f"http://127.0.0.1:{own.getsockname()[1]}")
    assert state.state is State.ABSENT
    assert "for a process that is not seen" in state.why
