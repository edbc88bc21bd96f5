"""Whatever a server does becomes an answer with one sentence, never an exception."""

from __future__ import annotations

import socket
import threading

import pytest
from driving import run
from fault_server import (
    CLOSE,
    DONE,
    GOOD,
    STREAM,
    USAGE,
    WHOLE,
    chunked,
    faulty,
    head,
    plain,
    token,
)
from tiny_dialect import TinyChat, shots
from wire_cases import FAILURES, GOODS, TRUNCATED

from costaudit.ground.errors import UsageError
from costaudit.record.client.load import Endpoint, Rung
from costaudit.record.client.run import run_rung

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("either_wire")]


def only(script, **options):
    with faulty(script) as server:
        ran = run(server.url, **{"timeout_s": 5.0, **options})
    assert len(ran.answers) == ran.end.sent
    return ran.answers[0]


@pytest.mark.parametrize("name", FAILURES)
def test_each_failure_is_one_sentence(name):
    script, status, sentence = FAILURES[name]
    answer = only(script, timeout_s=0.4 if "0.4 s" in sentence else 5.0)
    assert sentence in answer.error
    assert not answer.ok
    assert answer.status == status
    assert len(answer.error) <= 300
    assert "secret prompt" not in answer.error
    assert answer.output_tokens is None or answer.output_tokens <= 3


@pytest.mark.parametrize("name", TRUNCATED)
def test_a_stream_without_its_terminator_is_truncated(name):
    answer = only(TRUNCATED[name])
    assert answer.truncated
    assert answer.error
    assert not answer.ok


@pytest.mark.parametrize("name", GOODS)
def test_each_lawful_stream_is_read(name):
    answer = only(GOODS[name])
    assert answer.error == ""
    assert not answer.truncated
    assert (answer.output_tokens, answer.prompt_tokens) == (3, 9)
    assert answer.finish_reason == "stop"
    assert len(answer.event_us) == 12


def test_tokens_without_usage_are_unknown():
    answer = only([STREAM + chunked(*WHOLE[:3], DONE)])
    assert answer.ok
    assert answer.output_tokens is None
    assert len(answer.event_us) == 12


def test_a_long_answer_is_read_as_it_comes():
    many = [token(str(k)) for k in range(20_000)]
    usage = USAGE.replace(b":3}", b":20001}")
    answer = only([STREAM + chunked(*many, token("z", '"length"'), usage, DONE)], timeout_s=20)
    assert answer.output_tokens == 20_001
    assert len(answer.event_us) == 4 * 20_001
    assert answer.event_tokens == b""


def test_a_server_that_closes_after_each_answer_is_connected_to_anew():
    body = b"".join(WHOLE)
    with faulty([head(Content_Length=len(body), Connection="close") + body, CLOSE]) as server:
        ran = run(server.url, streams=2, requests=10)
    assert ran.end.failed == 0
    assert len(server.requests) == 10
    assert ran.end.health.connections == server.connections == 10


def test_a_kept_connection_closed_when_idle_is_no_error_and_no_second_request():
    with faulty([GOOD]) as server:
        server.idle_close = True
        ran = run(server.url, requests=20, starts=[0.01 * k for k in range(20)])
    assert ran.end.failed == 0
    assert ran.end.sent == len(server.requests) == 20


def test_a_request_that_was_read_is_never_repeated():
    """The second request on a kept connection is read, then dropped without a word."""
    with faulty(lambda number: [GOOD] if number != 1 else [CLOSE]) as server:
        ran = run(server.url, requests=3)
    assert [bool(a.error) for a in ran.answers] == [False, True, False]
    assert len(server.requests) == 3


def test_failures_do_not_stop_the_rest():
    with faulty(lambda number: [GOOD] if number % 2 else [plain("500 Oops", b"{}")]) as server:
        ran = run(server.url, streams=2, requests=20)
    assert ran.end.failed == 10
    assert ran.end.stopped == ""


def test_secrets_never_come_back():
    key = "sk-verysecretkey1234567890"
    body = f'{{"error":{{"message":"bad key {key} (Bearer {key})"}}}}'.encode()
    answer = only([plain("401 Unauthorized", body)], headers={"Authorization": f"Bearer {key}"})
    assert key not in answer.error
    assert "bad key" in answer.error


def test_terminal_codes_and_line_breaks_do_not_come_through():
    answer = only([plain("400 Bad", b'{"error":"a\\u001b[31mb\\nc\\u202ed"}')])
    assert answer.error == "HTTP 400: a [31mb c d"


def test_nothing_listens():
    with socket.create_server(("127.0.0.1", 0)) as free:
        url = f"http://127.0.0.1:{free.getsockname()[1]}"
    ran = run(url, streams=8, requests=100)
    assert len(ran.answers) == ran.end.sent == 1
    assert "nothing listens there" in ran.answers[0].error
    assert ran.end.stopped == ran.answers[0].error


def test_a_server_that_dies_ends_the_rung():
    with faulty([GOOD]) as server:

        def script(number):
            if number == 5:
                server.stop()
                return [CLOSE]
            return [GOOD]

        server.script = script
        ran = run(server.url, streams=2, requests=1_000)
    assert ran.end.sent < 20
    assert "nothing listens there" in ran.end.stopped


def test_an_unknown_host():
    ran = run("http://no-such-host.invalid:8000")
    assert "is not known" in ran.answers[0].error


def test_http_on_an_https_url():
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def refuse():
            for _ in range(2):  # once ahead of the rung, once for its request
                sock, _ = listener.accept()
                with sock:
                    sock.recv(65536)
                    sock.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")

        threading.Thread(target=refuse, daemon=True).start()
        ran = run(f"https://127.0.0.1:{listener.getsockname()[1]}", requests=5)
    assert "does not speak TLS; is it http:// instead of https://?" in ran.answers[0].error
    assert ran.end.sent == 1


@pytest.mark.parametrize(
    "url", ["localhost:8000", "ftp://x", "http://", "http://u:pw@h", "http://h/?a=1", "http://h:x"]
)
def test_an_unusable_url_is_a_usage_error(url):
    with pytest.raises(UsageError) as caught:
        run(url)
    assert "pw" not in caught.value.message


def test_a_header_cannot_smuggle_another():
    with pytest.raises(UsageError, match="line break"), faulty([GOOD]) as server:
        run(server.url, headers={"X": "a\r\nHost: b"})


def test_the_request_as_it_goes_over_the_wire():
    with faulty([GOOD]) as server:
        run(f"{server.url}/base/", headers={"user-agent": "me"})
        (request,) = server.requests
    lines = request.partition(b"\r\n\r\n")[0].split(b"\r\n")
    assert lines[0] == b"POST /base/v1/chat/completions HTTP/1.1"
    assert b"Accept-Encoding: identity" in lines
    assert b"user-agent: me" in lines
    assert not any(line.startswith(b"User-Agent") for line in lines)


def test_a_long_request_is_sent_whole():
    from costaudit.record.client.load import Shot
    from costaudit.record.dialects.dialect import Ask

    ask = Ask(prompt="x" * 9_000_000, output_tokens=3)
    big = Shot(number=0, call=TinyChat().call(ask, model="m"), output_tokens=3)
    answers = []
    with faulty([GOOD]) as server:
        rung = Rung(shots=[big], concurrency=1, requests=5)
        run_rung(
            Endpoint(base_url=server.url), TinyChat(), rung, task="t", on_answer=answers.append
        )
        assert len(server.requests[0]) > 9_000_000
    assert [a.error for a in answers] == [""]


def test_ipv6():
    try:
        listener = socket.create_server(("::1", 0), family=socket.AF_INET6)
    except OSError:
        pytest.skip("no IPv6 here")
    from fault_server import FaultServer

    server = FaultServer(lambda _: [GOOD])
    server._listener.close()
    server._listener = listener
    threading.Thread(target=server._accept, daemon=True).start()
    ran = run(f"http://[::1]:{listener.getsockname()[1]}")
    server.stop()
    assert ran.end.failed == 0


def test_no_load_is_a_usage_error():
    with pytest.raises(UsageError):
        run_rung(
            Endpoint(base_url="http://h"),
            TinyChat(),
            Rung(shots=shots(1), concurrency=0, requests=1),
            task="t",
            on_answer=print,
        )
