"""The HTTP server of llama-cpp-python: real llama.cpp behind a frail front; takes a C compiler."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import TYPE_CHECKING

from parts import tiny_models, venvs
from parts.cache import NotInstalledError, Part, Step, installed
from parts.running import Server, free_port, running

if TYPE_CHECKING:
    from contextlib import AbstractContextManager

MODEL = "tiny"
PIN = venvs.pin("llama-cpp", "llama_cpp_python")
WRITER = Path(__file__).with_name("gguf_model.py")
# Nothing of this processor's own, since a cache may move; no picture models, which cost a minute.
CMAKE_ARGS = "-DGGML_NATIVE=OFF -DLLAVA_BUILD=OFF"


def compile_wheel(folder: Path, step: Step) -> None:
    """Four minutes on two cores."""
    if not (shutil.which("cc") and shutil.which("c++")):
        raise NotInstalledError("there is no C and C++ compiler here")
    what = ("--no-deps", "--no-binary", "llama-cpp-python", "--wheel-dir", folder, PIN)
    step.run(venvs.python(), *venvs.PIP, "wheel", *what, CMAKE_ARGS=CMAKE_ARGS)


def build(folder: Path, step: Step) -> None:
    """The compiled wheel is a part of its own and outlives changes of the rest of the lock."""
    venvs.make_venv(folder, step, "llama-cpp", "--find-links", str(installed(WHEEL)))
    step.run(folder / "bin/python", "-c", "import llama_cpp.server.app, gguf")


WHEEL = Part(
    name="llama-cpp-wheel",
    key=(PIN, venvs.version(), CMAKE_ARGS),
    build=compile_wheel,
    optional=True,
)
PART = Part(name="llama-cpp", key=venvs.key("llama-cpp"), build=build, optional=True)


def gguf_model(size: str = "tiny") -> Path:
    """The tiny Llama as one GGUF file."""
    model_dir = tiny_models.tiny_model("llama", size)

    def convert(folder: Path, step: Step) -> None:
        step.run(installed(PART) / "bin/python", "-P", WRITER, model_dir, folder / "model.gguf")

    key = (str(model_dir), WRITER.read_text(), *PART.key)
    return (
        installed(Part(name=f"gguf-{size}", key=key, build=convert, optional=True)) / "model.gguf"
    )


def serve(*flags: str, port: int | None = None) -> AbstractContextManager[Server]:
    """`python -m llama_cpp.server` with further `flags`; ready within a second."""
    interpreter, model, port = installed(PART) / "bin/python", gguf_model(), port or free_port()
    return running(
        "llama-cpp",
        [
            *(interpreter, "-m", "llama_cpp.server", "--model", model, "--model_alias", MODEL),
            *("--host", "127.0.0.1", "--port", str(port)),
            *("--n_ctx", str(tiny_models.CONTEXT_TOKENS), "--n_threads", "1", *flags),
        ],
        port=port,
        ready_path="/v1/models",
        model=MODEL,
        model_dir=tiny_models.tiny_model(),
    )
