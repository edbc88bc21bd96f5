"""Requests are bounded in size and time, and led nowhere else."""

from __future__ import annotations

import gzip
import socket
import ssl
import threading
import time
import urllib.error

import dialect_server as fake
import pytest
from answering import Answers, serving
from hypothesis import given, settings
from hypothesis import strategies as st

from costaudit.ground.errors import CostauditError, TargetError, UsageError
from costaudit.record.servers.address import base_of
from costaudit.record.servers.command_line import arguments_of_listener, flags
from costaudit.record.servers.fetch import fetch
from costaudit.record.servers.unreachable import unreachable


def get(url, **more):
    return fetch(url, headers={}, **more)


def test_sizes_are_bounded_packed_ones_too():
    big = b"x" * 5_000_000
    answers = Answers()
    answers["GET", "/big"] = (200, {}, big)
    answers["GET", "/packed"] = (200, {"content-encoding": "gzip"}, gzip.compress(big))
    answers["GET", "/small"] = (200, {"content-encoding": "gzip"}, gzip.compress(b"hi"))
    answers["GET", "/broken"] = (200, {"content-encoding": "gzip"}, b"no gzip")
    with serving(answers) as (url, _, _):
        for path in ("/big", "/packed"):
            reply = get(url + path, max_bytes=1000)
            assert (len(reply.body), reply.whole, reply.ok) == (1000, False, False)
        assert get(url + "/small").text() == "hi"
        assert not get(url + "/broken").ok


def test_redirects_stay_on_the_host():
    answers = Answers()
    answers["GET", "/here"] = (302, {"location": "/there"}, b"")
    answers["GET", "/away"] = (302, {"location": "http://127.0.0.2:9/there"}, b"")
    answers["GET", "/loop"] = (302, {"location": "/loop"}, b"")
    answers["GET", "/there"] = (200, {}, b"ok")
    with serving(answers) as (url, seen, _):
        assert get(url + "/here").body == b"ok"
        assert get(url + "/away").status == 302
        assert get(url + "/loop").status == 302
    assert seen.count("GET /loop") == 1


def listening(behave):
    """A listener that does `behave(connection)` once."""
    listener = socket.create_server(("127.0.0.1", 0))

    def run():
        connection, _ = listener.accept()
        with connection, listener:
            behave(connection)

    threading.Thread(target=run, daemon=True).start()
    return f"http://127.0.0.1:{listener.getsockname()[1]}"


def test_a_server_that_drips_is_hung_up_on():
    def drip(connection):
        connection.recv(1000)
        try:
            for byte in b"HTTP/1.1 200 OK\r\n" + b"x: y\r\n" * 100:
                connection.send(bytes([byte]))
                time.sleep(0.02)
        except OSError:
            pass

    began = time.monotonic()
    with pytest.raises(TargetError, match="did not answer within"):
        get(listening(drip), timeout_s=0.3)
    assert time.monotonic() - began < 2


def test_what_speaks_no_http_is_told():
    with pytest.raises(TargetError, match="does not speak HTTP"):
        get(listening(lambda connection: connection.send(b"\x00\x00\x12\x04\x00\x00")))
    plain = listening(lambda connection: connection.send(b"HTTP/1.1 400 Bad\r\n\r\n"))
    with pytest.raises(TargetError, match="TLS") as err:
        get(plain.replace("http://", "https://"))
    assert "http://" in err.value.hint


def test_a_certificate_that_is_not_trusted_is_told():
    refused = ssl.SSLCertVerificationError(1, "certificate verify failed")
    refused.verify_message = "self-signed certificate"
    err = unreachable("https://h:443/v1", urllib.error.URLError(refused), 5)
    assert isinstance(err, TargetError)
    assert "self-signed" in err.message
    assert "SSL_CERT_FILE" in err.hint


@settings(deadline=None, max_examples=60)  # a busy machine is no failure
@given(st.text(max_size=60))
def test_no_address_makes_it_crash(text):
    try:
        base, _ = base_of(text)
    except UsageError as err:
        assert err.hint  # noqa: PT017 - either is right
    else:
        assert base.startswith(("http://", "https://"))
        assert base_of(base) == (base, ())


def test_addresses_keep_a_proxy_s_path_and_lose_the_api_s():
    for given_, base in (
        ("localhost:8000", "http://localhost:8000"),
        ("http://h/v1/v1/", "http://h"),
        ("https://api.groq.com/openai/v1", "https://api.groq.com/openai"),
        ("https://openrouter.ai/api/v1", "https://openrouter.ai/api"),
        ("http://h:11434/api/generate", "http://h:11434"),
        ("http://h:8000/v2/models/m/generate", "http://h:8000"),
        ("http://h/team/vllm/", "http://h/team/vllm"),
        ("http://[::1]:8000/v1", "http://[::1]:8000"),
    ):
        assert base_of(given_)[0] == base
    with pytest.raises(UsageError, match="password"):
        base_of("http://me:pw@h")


def test_flags_of_a_command_line():
    command = [
        "vllm",
        "serve",
        "/m",
        "--max-num-seqs",
        "32",
        "--enforce-eager",
        "--dtype=half",
        "--no-enable-x",
    ]
    assert flags(command) == {
        "serve": "/m",
        "max-num-seqs": "32",
        "enforce-eager": "true",
        "dtype": "half",
        "enable-x": "false",
    }
    assert flags([]) == {}


def test_unknown_hosts_are_errors_of_ours():
    with pytest.raises(CostauditError):
        get("http://host.invalid/")


def test_a_command_line_counts_only_where_it_is_the_engine_s():
    with serving(fake.vllm()) as (url, _, _):  # behind this port is pytest
        assert arguments_of_listener(url, "vllm") == {}
        assert arguments_of_listener("http://192.0.2.1:80", "vllm") == {}
