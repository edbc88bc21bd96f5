"""`vllm bench serve`, the client in Rust: one binary in the wheel of vLLM."""

from __future__ import annotations

import json
import sys
import zipfile
from typing import TYPE_CHECKING

from contest.peer import OFFLINE, Load, Peer

from peers.vllm_python import flags, read

if TYPE_CHECKING:
    from pathlib import Path

    from contest.install import Step

VERSION = "0.33.0"
MEMBER = "vllm/vllm-rs"


def install(folder: Path, step: Step) -> None:
    """Of a wheel of 336 MB one file of 61 MB; nothing that the wheel asks for."""
    quiet = ("--disable-pip-version-check", "--no-input", "--progress-bar", "off")
    pip = (sys.executable, "-m", "pip", "download", *quiet, "--no-deps", "--only-binary=:all:")
    step.run(*pip, "--dest", folder, f"vllm=={VERSION}")
    (wheel,) = folder.glob("*.whl")
    with zipfile.ZipFile(wheel) as files:
        program = files.extract(MEMBER, folder)
    step.run("chmod", "+x", program)
    wheel.unlink()


def command(folder: Path, load: Load) -> list[str | Path]:
    """Prompts from a file: for its random ones it wants the server to tokenize a few."""
    prompts = load.scratch / "prompts.jsonl"
    line = json.dumps({"prompt": " the" * load.prompt_tokens})
    prompts.write_text(f"{line}\n" * load.requests)
    return [
        *(folder / MEMBER, "bench", "serve"),
        *("--dataset-name", "custom", "--dataset-path", prompts),
        *("--custom-output-len", str(load.output_tokens)),
        *flags(load),
    ]


PEER = Peer(
    name="vllm-rust",
    version=VERSION,
    install=install,
    command=command,
    read=read,
    environ=OFFLINE,
    requests_per_s=4_000,
    is_python=False,
)
