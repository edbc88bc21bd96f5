"""The real vLLM, on the CPU."""

from __future__ import annotations

import platform
from pathlib import Path
from typing import TYPE_CHECKING

from parts import tiny_models, venvs
from parts.cache import Part, Step, installed
from parts.running import Server, free_port, running

if TYPE_CHECKING:
    from collections.abc import Mapping
    from contextlib import AbstractContextManager

VERSION = "0.32.0"
MODEL = "tiny"
FORKED = Path(__file__).with_name("vllm_forked.py")
BLOCK_TOKENS = 32  # the CPU backend takes multiples of 32 alone
KV_BYTES = 32 << 20  # of the tiny Llama that is 32,768 tokens: no preemption by accident
FLAGS = (
    *("--dtype", "bfloat16", "--max-model-len", str(tiny_models.CONTEXT_TOKENS)),
    *("--block-size", str(BLOCK_TOKENS), "--max-num-seqs", "32"),
    "--enforce-eager",  # compiling takes minutes
)
ENVIRON = {
    "VLLM_CPU_OMP_THREADS_BIND": "nobind",
    "VLLM_NO_USAGE_STATS": "1",
    "VLLM_HOST_IP": "127.0.0.1",
}
# As on one GPU: the engine computes itself. By default here a worker does, and each of the two
# spins for a second while it waits for the other, which two cores have no room for beside a client.
FOR_TESTS = {"environ": {"VLLM_ENABLE_V1_MULTIPROCESSING": "0"}}
# With models this small vLLM runs its own AMX kernels before any library has asked Linux for leave
# to, and dies of SIGILL. arch_prctl(ARCH_REQ_XCOMP_PERM, XTILEDATA), <asm/prctl.h>, asks; a
# processor without AMX answers no, which harms nobody.
ALLOW_AMX = "import ctypes; ctypes.CDLL(None).syscall(158, 0x1023, 18)\n"


def build(folder: Path, step: Step) -> None:
    """The lock leaves out torchvision, torchaudio, torchcodec and triton: CUDA builds, unused."""
    venvs.make_venv(folder, step, "vllm", "--only-binary=:all:")
    # vLLM asks for its own version by the name `vllm`, which this distribution does not carry,
    # and takes itself for a CPU build where that version says so.
    packages = next(folder.glob("lib/python3*/site-packages"))
    stub = packages / f"vllm-{VERSION}+cpu.dist-info"
    stub.mkdir()
    (stub / "METADATA").write_text(f"Metadata-Version: 2.1\nName: vllm\nVersion: {VERSION}+cpu\n")
    if platform.machine() == "x86_64":
        (packages / "amx.pth").write_text(ALLOW_AMX)
    venvs.must_import(folder, step, "torch, vllm")


PART = Part(name="vllm", key=(*venvs.key("vllm"), VERSION, ALLOW_AMX), build=build)


def command() -> Path:
    """The `vllm` program: `vllm bench serve` is a load tool of the server's own makers."""
    return installed(PART) / "bin/vllm"


def serve(
    *flags: str,
    model_dir: Path | None = None,
    kv_bytes: int = KV_BYTES,
    port: int | None = None,
    environ: Mapping[str, str] | None = None,
) -> AbstractContextManager[Server]:
    """`vllm serve` with further `flags`; 20 s until it is ready."""
    python, model_dir = installed(PART) / "bin/python", model_dir or tiny_models.tiny_model()
    port = port or free_port()
    return running(
        "vllm",
        [
            *(python, FORKED, "serve", model_dir, "--served-model-name", MODEL),
            *("--host", "127.0.0.1", "--port", str(port)),
            *("--kv-cache-memory-bytes", str(kv_bytes)),
            *(*FLAGS, *flags),
        ],
        port=port,
        ready_path="/health",
        model=MODEL,
        model_dir=model_dir,
        metrics_url=f"http://127.0.0.1:{port}/metrics",
        environ={**ENVIRON, **(environ or {})},
    )
