"""The real Triton, from the wheel of nvidia-pytriton, with two models behind its Python backend.

Not PyTriton's own server around it: that hides the batching and locks half of the HTTP interface.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

from parts import tiny_models, venvs
from parts.cache import Part, Step, installed
from parts.running import Server, free_port, running

if TYPE_CHECKING:
    from contextlib import AbstractContextManager

STREAM = "tiny_stream"  # decoupled, continuous batching
BATCH = "tiny_batch"  # dynamic batching, up to 8
REPOSITORY = Path(__file__).with_name("triton_models")
LIBRARIES = "import sysconfig; print(sysconfig.get_config_var('LIBDIR'))"


def build(folder: Path, step: Step) -> None:
    """Beside the environment, a tree as Triton's own packages lay it out."""
    venvs.make_venv(folder, step, "triton", "--only-binary=:all:")
    wheel = next(folder.glob("lib/python3*/site-packages/pytriton/tritonserver"))
    tree = folder / "tritonserver"
    shutil.copytree(wheel, tree, ignore=shutil.ignore_patterns("python_backend_stubs"))
    stub = wheel / "python_backend_stubs" / ".".join(map(str, venvs.LOCKED_FOR))
    shutil.copy(stub / "triton_python_backend_stub", tree / "backends/python")
    venvs.must_import(folder, step, "torch")


PART = Part(name="triton", key=venvs.key("triton"), build=build)


def serve(
    *flags: str, model_dir: Path | None = None, port: int | None = None
) -> AbstractContextManager[Server]:
    """`tritonserver` with further `flags`; both models are loaded."""
    folder, model_dir = installed(PART), model_dir or tiny_models.tiny_model()
    port, metrics_port = port or free_port(), free_port()
    tree, interpreter = folder / "tritonserver", folder / "bin/python"
    # The backend embeds Python: of all libpython3.x on a machine it must meet that of the venv.
    asked = subprocess.run(
        [interpreter, "-c", LIBRARIES], capture_output=True, text=True, check=True
    )
    libraries = next(folder.glob("lib/python3*/site-packages/nvidia_pytriton.libs"))
    return running(
        "triton",
        [
            *(tree / "bin/tritonserver", f"--model-repository={REPOSITORY}"),
            *(f"--backend-directory={tree}/backends", "--http-address=127.0.0.1"),
            *(f"--http-port={port}", f"--metrics-port={metrics_port}"),
            *("--metrics-address=127.0.0.1", "--allow-grpc=false", "--metrics-interval-ms=500"),
            *flags,
        ],
        port=port,
        ready_path="/v2/health/ready",
        model=STREAM,
        model_dir=model_dir,
        metrics_url=f"http://127.0.0.1:{metrics_port}/metrics",
        environ={
            "LD_LIBRARY_PATH": f"{asked.stdout.strip()}:{libraries}",
            "PATH": f"{folder}/bin:{os.defpath}",  # its python3 becomes the backend's
            "TINY_MODEL": str(model_dir),
        },
    )
