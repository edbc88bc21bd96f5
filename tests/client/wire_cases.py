"""What servers send: failures, truncations and lawful streams, as bytes, pauses and ends."""

from __future__ import annotations

from fault_server import CLOSE, DONE, GOOD, HANG, RESET, STREAM, WHOLE, chunked, head, plain, token

ERROR_EVENT = b'data: {"error":{"message":"out of KV blocks","code":500}}\n\n'

HTML = plain("200 OK", b"<html><body>Welcome to nginx</body></html>", "text/html; charset=utf-8")

FAILURES = {
    "401": (
        [plain("401 Unauthorized", b'{"error":{"message":"no such key"}}')],
        401,
        "HTTP 401: no such key",
    ),
    "404 without JSON": (
        [plain("404 Not Found", b"404 page not found", "text/plain")],
        404,
        "404 page not found",
    ),
    "422 that repeats the prompt": (
        [plain("422 Unprocessable", b'{"detail":[{"msg":"too long","input":"secret prompt"}]}')],
        422,
        "HTTP 422: too long",
    ),
    "429 without a body": ([plain("429 Too Many Requests", b"")], 429, "HTTP 429: no reason given"),
    "500 of a proxy": (
        [plain("502 Bad Gateway", b"<html>", "text/html")],
        502,
        "HTTP 502: no reason given",
    ),
    "an error without end": (
        [head("500 Oops", "text/plain"), *[b"x" * 50_000] * 4, HANG],
        500,
        "HTTP 500: xxx",
    ),
    "redirect": (
        [plain("307 Temporary Redirect", b"", Location="https://other.example/v1/x?key=1")],
        307,
        "redirected to https://other.example; redirects are not followed",
    ),
    "HTML page": ([HTML], 200, "HTML page"),
    "JSON instead of a stream": ([plain("200 OK", b'{"choices":[]}')], 200, "application/json"),
    "JSON error with status 200": (
        [plain("200 OK", b'{"error":"no stream here"}')],
        200,
        "no stream here",
    ),
    "compressed": ([head(Content_Encoding="gzip", Content_Length=3) + b"abc"], 200, "gzip"),
    "error event": ([STREAM + chunked(token(), ERROR_EVENT, DONE)], 200, "out of KV blocks"),
    "event that is no JSON": (
        [STREAM + chunked(token(), b"data: {oops\n\n", DONE)],
        200,
        "cannot be read",
    ),
    "reset at once": ([RESET], 0, "reset the connection"),
    "closed at once": ([CLOSE], 0, "closed the connection without an answer"),
    "closed in the head": ([b"HTTP/1.1 200 OK\r\nContent-", CLOSE], 0, "in mid-answer"),
    "no HTTP": ([b"SSH-2.0-OpenSSH_9.2\r\n", HANG], 0, "not HTTP/1.1"),
    "HTTP/2 settings": ([b"\x00\x00\x12\x04\x00\x00\x00\x00\x00", HANG], 0, "speaks HTTP/2 only"),
    "broken header": ([b"HTTP/1.1 200 OK\r\nno colon\r\n\r\n", HANG], 0, "broken header"),
    "head without end": (
        [b"HTTP/1.1 200 OK\r\nA: " + b"a" * 70_000, HANG],
        0,
        "headers are longer",
    ),
    "broken length": ([head(Content_Length="12x")], 0, "Content-Length"),
    "negative length": ([head(Content_Length="-1")], 0, "Content-Length"),
    "chunk size no number": ([STREAM + b"zz\r\nabc\r\n", HANG], 200, "chunk size"),
    "chunk size without end": ([STREAM + b"1" * 5_000, HANG], 200, "chunk size"),
    "chunk longer than it says": ([STREAM + b"3\r\nabcdef\r\n", HANG], 200, "chunked coding"),
    "trailer without end": ([STREAM + b"0\r\n" + b"a" * 5_000, HANG], 200, "trailer"),
    "event without end": (
        [STREAM] + [chunked(b"data: " + b"x" * 1_000_000, end=False)] * 9 + [HANG],
        200,
        "longer than",
    ),
    "hangs before the answer": ([HANG], 0, "within 0.4 s"),
    "hangs in mid-stream": ([STREAM + chunked(token(), end=False), HANG], 200, "within 0.4 s"),
    "tokens without end": (
        [STREAM] + [chunked(token(), end=False), 0.01] * 500,
        200,
        "within 0.4 s",
    ),
}

TRUNCATED = {
    "no terminator": [STREAM + chunked(*WHOLE[:-1])],
    "closed in mid-stream": [STREAM + chunked(*WHOLE[:2], end=False), CLOSE],
    "closed in mid-chunk": [STREAM + chunked(*WHOLE[:2])[:-40], CLOSE],
    "reset in mid-stream": [STREAM + chunked(*WHOLE[:2], end=False), 0.05, RESET],
    "less than its length": [head(Content_Length=999) + b"".join(WHOLE[:2]), CLOSE],
    "closed without length": [head() + b"".join(WHOLE[:2]), CLOSE],
}

GOODS = {
    "chunked": [GOOD],
    "a byte at a time": [bytes([byte]) for byte in GOOD],
    "by length": [head(Content_Length=len(b"".join(WHOLE))) + b"".join(WHOLE)],
    "until it closes": [head() + b"".join(WHOLE), CLOSE],
    "HTTP/1.0": [b"HTTP/1.0 200 OK\r\n\r\n" + b"".join(WHOLE), CLOSE],
    "terminator but no end of the coding": [STREAM + chunked(*WHOLE, end=False), CLOSE],
    "one chunk": [STREAM + chunked(b"".join(WHOLE))],
    "chunks across events": [
        STREAM + chunked(*[b"".join(WHOLE)[k : k + 7] for k in range(0, 400, 7)])
    ],
    "chunk extensions": [STREAM + GOOD.split(b"\r\n\r\n", 1)[1].replace(b"\r\nd", b";a=b\r\nd")],
    "trailers": [STREAM + chunked(*WHOLE, end=False) + b"0\r\nX-Sum: 1\r\n\r\n"],
    "100 Continue first": [b"HTTP/1.1 100 Continue\r\n\r\n" + GOOD],
    "CRLF events": [STREAM + chunked(*[event.replace(b"\n", b"\r\n") for event in WHOLE])],
    "CR events": [STREAM + chunked(*[event.replace(b"\n", b"\r") for event in WHOLE])],
    "no space, comments, other fields": [
        STREAM
        + chunked(
            b": ping\n\n",
            *[b"event: x\nid: 1\n" + e.replace(b"data: ", b"data:") for e in WHOLE],
            b":\n\n",
        )
    ],
    "joined data lines": [
        STREAM + chunked(*[e.replace(b'"delta"', b'\ndata: "delta"') for e in WHOLE])
    ],
    "a byte order mark": [STREAM + chunked(b"\xef\xbb\xbf" + WHOLE[0], *WHOLE[1:])],
    "no blank line at the end": [STREAM + chunked(*WHOLE[:-1], b"data: [DONE]")],
    "events behind the terminator": [STREAM + chunked(*WHOLE, token("late"))],
    "no content type": [b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + chunked(*WHOLE)],
}
