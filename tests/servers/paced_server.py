"""A server of ours that streams tokens at a pace, as vLLM words them, and fails when it is told to.

It holds no model: an answer is as many tokens as were asked for, each one step after the other.
"""

from __future__ import annotations

import json
import socket
import struct
import threading
import time
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

MODEL, CONTEXT_TOKENS = "paced", 2048


class Paced:
    """What the server is to do, and what it saw.

    `fault(number)` names how the generation of that number goes wrong, "" where it does not.
    """

    def __init__(self, *, step_s=0.0005, fault=lambda _: "", key=None, waiting=None):
        self.step_s, self.fault, self.key, self.waiting = step_s, fault, key, waiting
        self.generations = 0
        self.running = self.most_running = 0
        self.longest_tokens = 0  # prompt and output of one request
        self.tokens = 0  # asked for, in all
        self.lock = threading.Lock()
        self.server = None

    def enter(self, asked):
        size = len(asked["prompt"]) + asked["max_tokens"]
        with self.lock:
            number, self.generations = self.generations, self.generations + 1
            self.running += 1
            self.most_running = max(self.most_running, self.running)
            self.longest_tokens = max(self.longest_tokens, size)
            self.tokens += size
        return number

    def leave(self):
        with self.lock:
            self.running -= 1


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    paced: Paced

    def log_message(self, *_):
        """Quiet."""

    def setup(self):
        super().setup()
        self.connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def do_GET(self):
        if self.refuse_stranger():
            return
        if self.path == "/v1/models":
            card = {"id": MODEL, "owned_by": "vllm", "max_model_len": CONTEXT_TOKENS}
            self.whole(200, {"object": "list", "data": [card]})
        elif self.path == "/version":
            self.whole(200, {"version": "0.32.0"})
        elif self.path == "/metrics" and self.paced.waiting is not None:
            page = f'vllm:num_requests_waiting{{model_name="{MODEL}"}} {self.paced.waiting()}\n'
            self.whole(200, page.encode(), kind="text/plain; version=0.0.4")
        else:
            self.whole(404, {"detail": "Not Found"})

    def do_POST(self):
        asked = json.loads(self.rfile.read(int(self.headers["content-length"])))
        if self.refuse_stranger():
            return
        if self.path != "/v1/completions":
            self.whole(404, {"detail": "Not Found"})
            return
        number = self.paced.enter(asked)
        try:
            fault = self.paced.fault(number)
            getattr(self, f"fail_{fault}")() if fault else self.stream(asked)
        except OSError:
            self.close_connection = True
        finally:
            self.paced.leave()

    def refuse_stranger(self):
        key = self.paced.key
        stranger = key is not None and self.headers.get("authorization") != f"Bearer {key}"
        if stranger:
            self.whole(401, {"error": "Unauthorized"})
        return stranger

    def whole(self, status, body, kind="application/json", **headers):
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        self.send_response_only(status)
        for name, value in {"content-type": kind, "content-length": len(data), **headers}.items():
            self.send_header(name, str(value))
        self.end_headers()
        self.wfile.write(data)

    def event(self, value):
        data = b"data: " + (value if isinstance(value, bytes) else json.dumps(value).encode())
        data += b"\n\n"
        self.wfile.write(b"%x\r\n%b\r\n" % (len(data), data))

    def begin(self):
        self.send_response_only(200)
        self.send_header("content-type", "text/event-stream")
        self.send_header("transfer-encoding", "chunked")
        self.end_headers()

    def token(self, finish=None):
        time.sleep(self.paced.step_s)
        self.event({"choices": [{"index": 0, "text": " x", "finish_reason": finish}]})

    def stream(self, asked):
        prompt, output = len(asked["prompt"]), asked["max_tokens"]
        time.sleep(prompt * self.paced.step_s / 100)
        self.begin()
        for left in range(output, 0, -1):
            self.token("length" if left == 1 else None)
        usage = {"prompt_tokens": prompt, "completion_tokens": output}
        self.event({"choices": [], "usage": usage})
        self.event(b"[DONE]")
        self.wfile.write(b"0\r\n\r\n")

    def fail_key(self):
        self.whole(401, {"error": "Unauthorized"})

    def fail_forbidden(self):
        self.whole(403, {"error": {"message": "this key may not use the model"}})

    def fail_busy(self):
        self.whole(429, {"error": {"message": "slow down"}})

    def fail_gone(self):
        self.whole(503, {"error": {"message": "engine is dead"}})

    def fail_long(self):
        said = "This model's maximum context length is 2048 tokens. However, you requested more."
        self.whole(400, {"error": {"message": said, "code": 400}})

    def fail_model(self):
        self.whole(404, {"error": {"message": "The model `paced` does not exist."}})

    def fail_page(self):
        self.whole(200, b"<html>welcome</html>", kind="text/html")

    def fail_reset(self):
        self.begin()
        self.token()
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.connection.close()
        raise ConnectionResetError

    def fail_event(self):
        self.begin()
        self.token()
        self.event({"error": {"message": "EngineCore encountered an issue", "code": 500}})
        self.event(b"[DONE]")
        self.wfile.write(b"0\r\n\r\n")

    def fail_die(self):
        threading.Thread(target=self.paced.server.stop).start()
        raise ConnectionAbortedError

    def fail_hang(self):
        self.begin()
        with suppress(OSError):
            self.connection.recv(1)  # until the client hangs up
        self.close_connection = True


class Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128

    def __init__(self, handler):
        super().__init__(("127.0.0.1", 0), handler)
        self.open = []

    def get_request(self):
        got = super().get_request()
        self.open.append(got[0])
        return got

    def handle_error(self, *_):
        """A client that hangs up is none."""

    def stop(self):
        self.shutdown()
        self.server_close()
        for sock in self.open:
            with suppress(OSError):
                sock.shutdown(socket.SHUT_RDWR)


@contextmanager
def paced_server(paced, *, context=None):
    """Run it; yields its URL."""
    server = Server(type("Own", (Handler,), {"paced": paced}))
    if context is not None:
        server.socket = context.wrap_socket(server.socket, server_side=True)
    paced.server = server
    threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
    scheme = "http" if context is None else "https"
    try:
        yield f"{scheme}://127.0.0.1:{server.server_port}"
    finally:
        server.stop()
