"""TLS over the same loop; proxies and HTTP/2 by httpx."""

from __future__ import annotations

import re
import shutil
import socket
import ssl
import subprocess
import threading
from contextlib import suppress

import pytest
from driving import run
from fault_server import GOOD, WHOLE, faulty

from costaudit.record.client.address import proxy_of, read_url
from costaudit.record.client.faults import Http2OnlyError
from costaudit.record.client.loop import Loop

pytestmark = pytest.mark.usefixtures("either_wire")


@pytest.fixture(scope="module")
def certificate(tmp_path_factory):
    """A certificate for 127.0.0.1 that nobody trusts unless told to."""
    if shutil.which("openssl") is None:
        pytest.skip("no openssl here")
    folder = tmp_path_factory.mktemp("tls")
    cert, key = folder / "cert.pem", folder / "key.pem"
    subprocess.run(
        "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2"
        f" -subj /CN=test -addext subjectAltName=IP:127.0.0.1 -out {cert} -keyout {key}".split(),
        check=True,
        capture_output=True,
    )
    return cert, key


@pytest.fixture
def context(certificate):
    made = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    made.load_cert_chain(*certificate)
    return made


def test_tls_keeps_the_kernels_stamps(certificate, context, monkeypatch):
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate[0]))
    with faulty([GOOD], context=context) as server:
        ran = run(server.url, streams=3, requests=12)
    assert [a.error for a in ran.answers if a.error] == []
    assert ran.end.health.stamps == "kernel"
    assert ran.end.health.connections == server.connections == 3
    assert len(server.requests) == 12


def test_tls_in_many_records_and_late(certificate, context, monkeypatch):
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate[0]))
    with faulty([GOOD[:50], 0.02, GOOD[50:300], 0.05, GOOD[300:]], context=context) as server:
        ran = run(server.url)
    (answer,) = ran.answers
    assert answer.ok
    assert max(ran.times_us[0]) - min(ran.times_us[0]) > 40_000


def test_an_untrusted_certificate_is_said_so(context):
    with faulty([GOOD], context=context) as server:
        ran = run(server.url, streams=4, requests=10)
        unchecked = run(server.url, streams=4, requests=10, verify_tls=False)
    assert "is not trusted" in ran.answers[0].error
    assert (ran.end.sent, len(ran.answers)) == (1, 1)
    assert ran.end.stopped
    assert unchecked.end.failed == 0


def test_a_certificate_of_another_host(certificate, context, monkeypatch):
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate[0]))
    with faulty([GOOD], context=context) as server:
        ran = run(server.url.replace("127.0.0.1", "localhost"))
    assert "not trusted" in ran.answers[0].error
    assert "localhost" in ran.answers[0].error


class Proxy:
    """Forwards requests with an absolute URL, as HTTP_PROXY wants it."""

    def __init__(self):
        self.seen = []
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}"
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self):
        while True:
            try:
                sock, _ = self._listener.accept()
            except OSError:
                return
            threading.Thread(target=self._forward, args=(sock,), daemon=True).start()

    def _forward(self, sock):
        with sock:
            data = b""
            while b"\r\n\r\n" not in data or data.count(b"word") < 128:
                data += sock.recv(65536)
            self.seen.append(data.split(b"\r\n", 1)[0].decode())
            sock.sendall(GOOD)
            sock.recv(1)

    def stop(self):
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()


@pytest.fixture
def proxy(monkeypatch):
    for name in ("http_proxy", "https_proxy", "all_proxy", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)
    made = Proxy()
    monkeypatch.setenv("HTTP_PROXY", made.url)
    yield made
    made.stop()


def test_a_proxy_is_used_for_hosts_elsewhere(proxy):
    pytest.importorskip("httpx")
    ran = run("http://model.example:8000", streams=2, requests=2)
    assert [a.error for a in ran.answers] == ["", ""]
    assert [a.output_tokens for a in ran.answers] == [3, 3]
    assert proxy.seen == ["POST http://model.example:8000/v1/chat/completions HTTP/1.1"] * 2
    assert ran.end.health.stamps == "user"
    assert ran.end.health.lag_p99_s is None


def test_a_proxy_is_never_used_for_this_machine(proxy, monkeypatch):
    with faulty([GOOD]) as server:
        ran = run(server.url)
    assert ran.end.failed == 0
    assert proxy.seen == []
    assert proxy_of(read_url("http://localhost:1")) == ""
    assert proxy_of(read_url("http://[::1]:1")) == ""
    assert proxy_of(read_url("http://model.example")) == proxy.url
    monkeypatch.setenv("NO_PROXY", "model.example")
    assert proxy_of(read_url("http://model.example")) == ""


def test_a_proxy_that_is_gone(proxy):
    pytest.importorskip("httpx")
    proxy.stop()
    ran = run("http://model.example:8000", requests=50)
    assert ran.end.stopped
    assert ran.end.sent == ran.end.failed == 1


def test_stopping_on_the_slow_road(proxy):
    pytest.importorskip("httpx")
    proxy._forward = lambda sock: sock.recv(1) and threading.Event().wait(20)
    ran = run("http://model.example:8000", streams=2, requests=50, stop=lambda: "enough")
    assert ran.end.stopped == "enough"
    assert {a.error for a in ran.answers} == {"cut off: enough"}


def test_http2_only_is_noticed_in_the_handshake(certificate, monkeypatch):
    """OpenSSL's own server refuses with an alert, which Python's does not."""
    cert, key = certificate
    monkeypatch.setenv("SSL_CERT_FILE", str(cert))
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    command = f"openssl s_server -accept {port} -cert {cert} -key {key} -alpn h2".split()
    seen = []
    monkeypatch.setattr("costaudit.record.client.run._by_httpx", lambda *_, **__: seen.append(1))
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    ) as process:
        try:
            while b"ACCEPT" not in process.stdout.readline():
                pass
            run(f"https://127.0.0.1:{port}", streams=2, requests=4)
        finally:
            process.kill()
    assert seen == [1]


def http2(sock, requests):
    """As much of an HTTP/2 server as one connection needs."""
    h2_connection = pytest.importorskip("h2.connection")
    h2_config, h2_events = (
        pytest.importorskip("h2.config"),
        pytest.importorskip("h2.events"),
    )
    connection = h2_connection.H2Connection(h2_config.H2Configuration(client_side=False))
    connection.initiate_connection()
    sock.sendall(connection.data_to_send())
    while data := sock.recv(65536):
        for said in connection.receive_data(data):
            if isinstance(said, h2_events.RequestReceived):
                requests.append(dict(said.headers))
            if isinstance(said, h2_events.StreamEnded):
                kind = [(":status", "200"), ("content-type", "text/event-stream")]
                connection.send_headers(said.stream_id, kind)
                connection.send_data(said.stream_id, b"".join(WHOLE), end_stream=True)
        sock.sendall(connection.data_to_send())


def test_http2_by_httpx(certificate, context, monkeypatch):
    pytest.importorskip("httpx")
    pytest.importorskip("h2")
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate[0]))
    context.set_alpn_protocols(["h2"])
    requests = []

    def refuse(_loop):
        raise Http2OnlyError

    monkeypatch.setattr(Loop, "run", refuse)
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve():
            sock, _ = listener.accept()  # the first, plain attempt
            sock.close()
            sock, _ = listener.accept()
            with context.wrap_socket(sock, server_side=True) as tls:
                http2(tls, requests)

        threading.Thread(target=serve, daemon=True).start()
        ran = run(f"https://127.0.0.1:{listener.getsockname()[1]}", streams=2, requests=6)
    assert [a.error for a in ran.answers] == [""] * 6
    assert len(requests) == 6
    assert re.fullmatch(r"/v1/chat/completions", requests[0][b":path"].decode())
