"""When a read makes the client look whether the answer is over."""

from __future__ import annotations

import pytest

from costaudit.record.client.exchange import Exchange
from costaudit.record.client.load import Shot
from costaudit.record.dialects.openai_chat import OpenAIChat

CHUNKED = b"HTTP/1.1 200 OK\r\nServer: any\r\ntransfer-encoding: chunked\r\n\r\n"


@pytest.mark.parametrize(
    ("raw", "looks"),
    [
        (CHUNKED + b"5\r\nhello\r\n", False),  # its end will show
        (CHUNKED + b"5\r\nhello\r\n0\r\n\r\n", True),
        (CHUNKED[:-2], True),
        (CHUNKED.replace(b"200 OK", b"503 No"), True),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 30\r\n\r\n\r\nTransfer-Encoding: chunked", True),
    ],
)
def test_a_head_waits_where_the_end_will_show(raw, looks):
    exchange = Exchange(Shot(number=0, call=None, output_tokens=9), OpenAIChat(), 0)
    assert exchange.take(raw, b"", 1) is looks
