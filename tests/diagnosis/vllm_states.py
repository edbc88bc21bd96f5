"""A real vLLM brought into states: with which flags, under which load.

Run as a script it captures some of them: `python tests/diagnosis/vllm_states.py FOLDER [STATE...]`.
"""

from __future__ import annotations

import http.client
import json
import random
import socket
import sys
import threading
import time
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

    from parts.running import Server

KV_TOKEN_BYTES = 1024  # tiny Llama: 4 layers x 2 KV heads x 32 x 2 x 2 bytes


@dataclass(frozen=True, kw_only=True)
class Load:
    """Closed-loop clients; lengths in tokens, each request's prompt starts with `shared` ones."""

    clients: int
    prompt: tuple[int, int]
    output: tuple[int, int]
    shared: int = 0
    think_s: float = 0.0


@dataclass(frozen=True, kw_only=True)
class State:
    """What a server is started with, what it is given to do, and what diagnose must say first.

    `first` is the id of a symptom, or a state's name ("healthy", "idle").
    """

    first: str
    flags: tuple[str, ...] = ()
    kv_tokens: int = 32_768
    kind: str = "llama"
    loads: tuple[Load, ...] = ()


CHAT = Load(clients=10, prompt=(40, 160), output=(40, 120))
LONG = Load(clients=2, prompt=(1500, 1900), output=(4, 8), think_s=0.4)
STATES = {
    "idle": State(first="idle"),
    "healthy": State(first="healthy", loads=(CHAT,)),
    "kv_starved": State(
        first="kv-preemption",
        kv_tokens=2048,
        flags=("--max-model-len", "1024"),
        loads=(Load(clients=16, prompt=(60, 140), output=(250, 350)),),
    ),
    "seqs_capped": State(
        first="batch-cap", flags=("--max-num-seqs", "4"), loads=(replace(CHAT, clients=20),)
    ),
    "unchunked": State(
        first="prefill-stalls",
        flags=("--no-enable-chunked-prefill", "--max-num-batched-tokens", "2048"),
        loads=(replace(CHAT, clients=8, output=(150, 250)), LONG),
    ),
    "prefix_off": State(
        first="prefix-caching-off",
        flags=("--no-enable-prefix-caching",),
        loads=(Load(clients=6, prompt=(20, 60), output=(8, 16), shared=1200),),
    ),
    "client_limited": State(
        first="client-limited", loads=(Load(clients=1, prompt=(40, 160), output=(40, 120)),)
    ),
}
# Other models, sizes and loads than the rules were made with.
OTHERS = {
    "moe_healthy": State(
        first="healthy",
        kind="qwen3_moe",
        flags=("--max-num-seqs", "16"),
        loads=(Load(clients=6, prompt=(100, 400), output=(30, 60), think_s=0.1),),
    ),
    "moe_starved": State(
        first="kv-preemption",
        kind="qwen3_moe",
        kv_tokens=4096,
        flags=("--max-num-seqs", "64", "--no-enable-prefix-caching"),
        loads=(Load(clients=40, prompt=(20, 60), output=(200, 500)),),
    ),
    "moe_capped": State(
        first="batch-cap",
        kind="qwen3_moe",
        flags=("--max-num-seqs", "1"),
        loads=(Load(clients=4, prompt=(200, 600), output=(10, 40)),),
    ),
    "moe_two_clients": State(
        first="client-limited",
        kind="qwen3_moe",
        flags=("--max-num-seqs", "16"),
        loads=(Load(clients=2, prompt=(200, 300), output=(20, 60), think_s=0.2),),
    ),
    "chunked_long": State(  # the same load as unchunked, cut into small chunks
        first="healthy",
        flags=("--max-num-batched-tokens", "128"),
        loads=(replace(CHAT, clients=8, output=(150, 250)), LONG),
    ),
    "unchunked_long": State(
        first="prefill-stalls",
        flags=("--no-enable-chunked-prefill", "--max-num-batched-tokens", "4096"),
        loads=(
            Load(clients=12, prompt=(10, 30), output=(300, 400)),
            Load(clients=1, prompt=(1900, 2000), output=(1, 2), think_s=0.2),
        ),
    ),
    "prefix_off_few_shot": State(
        first="prefix-caching-off",
        flags=("--no-enable-prefix-caching",),
        loads=(Load(clients=12, prompt=(100, 200), output=(20, 40), shared=500),),
    ),
    "prefix_off_own_prompts": State(  # caching off, and nothing shared: no cause
        first="healthy",
        flags=("--no-enable-prefix-caching",),
        loads=(Load(clients=8, prompt=(30, 60), output=(100, 200)),),
    ),
    "prefix_on": State(
        first="healthy", loads=(Load(clients=8, prompt=(20, 60), output=(30, 60), shared=1200),)
    ),
}


@contextmanager
def loaded(server: Server, loads: tuple[Load, ...], *, seed: int = 1) -> Iterator[None]:
    """The loads for as long as the context lasts; what is under way then is given up."""
    ended = threading.Event()
    lines: set[http.client.HTTPConnection] = set()
    number = 0
    threads = []
    for load in loads:
        shared = random.Random(seed).choices(range(10, 1500), k=load.shared)
        for _ in range(load.clients):
            number += 1
            arguments = (server, load, shared, random.Random(seed * 1000 + number))
            own = {"ended": ended, "lines": lines}
            threads.append(
                threading.Thread(target=_client, args=arguments, kwargs=own, daemon=True)
            )
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        ended.set()
        for line in list(lines):
            if line.sock:
                with suppress(OSError):
                    line.sock.shutdown(socket.SHUT_RDWR)
        for thread in threads:
            thread.join(timeout=60)


def _client(
    server: Server,
    load: Load,
    shared: list[int],
    rng: random.Random,
    *,
    ended: threading.Event,
    lines: set[http.client.HTTPConnection],
) -> None:
    host = server.base_url.removeprefix("http://")
    while not ended.is_set():
        own = rng.choices(range(10, 1500), k=rng.randint(*load.prompt))
        body = {
            "model": server.model,
            "prompt": [*shared, *own],
            "max_tokens": (length := rng.randint(*load.output)),
            "min_tokens": length,
            "ignore_eos": True,
        }
        line = http.client.HTTPConnection(host, timeout=120)
        lines.add(line)
        try:
            line.request(
                "POST", "/v1/completions", json.dumps(body), {"Content-Type": "application/json"}
            )
            line.getresponse().read()
        except (OSError, http.client.HTTPException):
            ended.wait(0.2)
        finally:
            lines.discard(line)
            line.close()
        ended.wait(load.think_s)


def _capture(server: Server, state: State, folder: Path, seconds: float) -> None:
    from costaudit.diagnosis.run import Asked, diagnose_live
    from costaudit.report.diagnosis_console import diagnosis_text

    if folder.exists():
        return
    with loaded(server, state.loads):
        time.sleep(4 if state.loads else 0)
        found = diagnose_live(Asked(url=server.base_url, seconds=seconds), save=folder)
    sys.stdout.write(f"== {folder.name}: wanted {state.first}\n{diagnosis_text(found)}\n")


def main() -> None:
    """Start servers and capture the states that are named; those of one server together."""
    sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
    from parts import tiny_models, vllm_cpu

    states = STATES | OTHERS
    folder, wanted = Path(sys.argv[1]), sys.argv[2:] or list(states)
    by_server: dict[tuple[tuple[str, ...], int, str], list[str]] = {}
    for name in wanted:
        state = states[name]
        by_server.setdefault((state.flags, state.kv_tokens, state.kind), []).append(name)
    for (flags, kv_tokens, kind), names in by_server.items():
        model, kv_bytes = tiny_models.tiny_model(kind), kv_tokens * KV_TOKEN_BYTES
        with vllm_cpu.serve(*flags, kv_bytes=kv_bytes, model_dir=model) as server:
            for name in names:
                _capture(server, states[name], folder / name, 20)


if __name__ == "__main__":
    main()
