"""A small dcgm-exporter of our own: a real HTTP server that shows a page of values it is given.

Its pages follow the exporter's: one gauge per field, GPUs told apart by the label UUID, under the
names of either generation.
"""

from __future__ import annotations

import threading
import time
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

OLD = {
    "dram": "DCGM_FI_PROF_DRAM_ACTIVE",
    "tensor": "DCGM_FI_PROF_PIPE_TENSOR_ACTIVE",
    "busy": "DCGM_FI_DEV_GPU_UTIL",
}
NEW = {
    "dram": "DCGM_FI_PROF_DRAM_UTIL_RATIO",
    "tensor": "DCGM_FI_PROF_TENSOR_UTIL_RATIO",
    "busy": "DCGM_FI_DEV_GPU_UTIL_RATIO",
}
MINE, OTHER = "GPU-0123", "GPU-4567"


def page(
    dram: float | str,
    *,
    names: dict[str, str] = OLD,
    uuid: str = MINE,
    labels: str = "",
    tensor: float = 0.125,
) -> str:
    """An exposition of two GPUs: `uuid` with these values, and another that is idle."""
    rows = {"busy": (99, 0), "dram": (dram, 0.0), "tensor": (tensor, 0.0)}
    lines = []
    for key, values in rows.items():
        name = names[key]
        lines += [f"# HELP {name} A field of DCGM (a share).", f"# TYPE {name} gauge"]
        for gpu, (whose, value) in enumerate(zip((uuid, OTHER), values, strict=True)):
            lines.append(
                f'{name}{{gpu="{gpu}",UUID="{whose}",device="nvidia{gpu}",'
                f'modelName="NVIDIA \\"H200\\"",Hostname="a{labels}"}} {value}'
            )
    return "\n".join(lines) + "\n"


class Exporter:
    """What the server answers: `text` may be a function that is called for each request."""

    def __init__(self, text: str | Callable[[], str]) -> None:
        self.text = text
        self.status = 200
        self.headers: dict[str, str] = {}
        self.drip_s = 0.0
        self.asked: list[tuple[str, str | None]] = []
        self.url = ""

    def answer(self, handler: BaseHTTPRequestHandler) -> None:
        self.asked.append((handler.path, handler.headers.get("Authorization")))
        handler.send_response(self.status)
        for name, value in self.headers.items():
            handler.send_header(name, value)
        handler.end_headers()
        text = self.text() if callable(self.text) else self.text
        try:
            for place in range(0, len(text), 40) if self.drip_s else (0,):
                part = text[place : place + 40] if self.drip_s else text
                handler.wfile.write(part.encode())
                time.sleep(self.drip_s)
        except OSError:
            pass  # the reader had enough


@contextmanager
def serving(text: str | Callable[[], str]) -> Iterator[Exporter]:
    """An exporter on a free port of this machine, gone at the end."""
    exporter = Exporter(text)

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            exporter.answer(self)

        def log_message(self, *_: Any) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    exporter.url = f"http://127.0.0.1:{server.server_port}/metrics"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield exporter
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
