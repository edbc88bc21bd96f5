"""The real `transformers serve`, one request after another or with continuous batching."""

from __future__ import annotations

from typing import TYPE_CHECKING

from parts import tiny_models, venvs
from parts.cache import Part, Step, installed
from parts.running import Server, free_port, running

if TYPE_CHECKING:
    from contextlib import AbstractContextManager
    from pathlib import Path

CONTINUOUS = ("--continuous-batching", "--cb-block-size", "32", "--cb-num-blocks", "256")


def build(folder: Path, step: Step) -> None:
    """A virtual environment of its own: the project's need not hold a web server."""
    venvs.make_venv(folder, step, "transformers", "--only-binary=:all:")
    venvs.must_import(folder, step, "torch, uvicorn")


PART = Part(name="transformers", key=venvs.key("transformers"), build=build)


def serve(
    *flags: str, model_dir: Path | None = None, port: int | None = None
) -> AbstractContextManager[Server]:
    """`transformers serve` with further `flags`, such as CONTINUOUS; 8 s until it is ready."""
    program, model_dir = installed(PART) / "bin/transformers", model_dir or tiny_models.tiny_model()
    port = port or free_port()
    return running(
        "transformers",
        [
            *(program, "serve", model_dir, "--device", "cpu"),
            *("--host", "127.0.0.1", "--port", str(port), *flags),
        ],
        port=port,
        ready_path="/health",
        model=str(model_dir),
        model_dir=model_dir,
    )
