"""A server of ours that answers from a table, and keeps what it was asked."""

from __future__ import annotations

import json
import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

CAPTURES = Path(__file__).parent / "captures"


class Answers(dict):
    """(method, path) → (status, headers, body); a path of its own is GET."""

    def get_json(self, path, value, status=200, **headers):
        self["GET", path] = (status, {"content-type": "application/json", **headers}, dumped(value))
        return self

    def post_json(self, path, value, status=200):
        self["POST", path] = (status, {"content-type": "application/json"}, dumped(value))
        return self

    def get_text(self, path, text, kind="text/plain; version=0.0.4", **headers):
        self["GET", path] = (200, {"content-type": kind, **headers}, text.encode())
        return self

    def post_stream(self, path, events, done=True, kind="text/event-stream"):
        text = "".join(f"data: {json.dumps(event)}\n\n" for event in events)
        body = (text + ("data: [DONE]\n\n" if done else "")).encode()
        self["POST", path] = (200, {"content-type": kind}, body)
        return self

    def captured(self, path, name, method="GET"):
        raw = (CAPTURES / name).read_bytes()
        if name.endswith(".prom"):
            self[method, path] = (200, {"content-type": "text/plain; version=0.0.4"}, raw)
            return self
        head, _, body = raw.replace(b"\r\n", b"\n").partition(b"\n\n")
        lines = head.decode().split("\n")
        headers = dict(line.split(": ", 1) for line in lines[1:] if ": " in line)
        for name_ in ("content-length", "Content-Length", "transfer-encoding", "Transfer-Encoding"):
            headers.pop(name_, None)
        self[method, path] = (int(lines[0].split()[1]), headers, body)
        return self


def dumped(value):
    return json.dumps(value).encode()


@contextmanager
def serving(answers, *, key=None):
    """Serve a table; yields (base URL, list of "METHOD path" as they came, their bodies)."""
    seen, bodies = [], []

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        server_version = "dialect-server"

        def _answer(self):
            size = int(self.headers.get("content-length", 0))
            bodies.append(self.rfile.read(size))
            seen.append(f"{self.command} {self.path}")
            fallback = (404, {"content-type": "application/json"}, b'{"detail":"Not Found"}')
            status, headers, body = answers.get((self.command, self.path), fallback)
            if key is not None and self.headers.get("authorization") != f"Bearer {key}":
                status, headers, body = 401, {}, b'{"error":"Unauthorized"}'
            self.send_response_only(status)
            for name, value in headers.items():
                self.send_header(name, value)
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        do_GET = do_POST = _answer  # noqa: N815 - http.server's names

        def log_message(self, *_):
            """Quiet."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}", seen, bodies
    finally:
        server.shutdown()
        server.server_close()
