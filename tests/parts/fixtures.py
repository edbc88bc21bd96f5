"""Fixtures of real servers: `tests/conftest.py` names this module as a plugin.

One default server of each kind lives as long as the test session; `start_server` gives a test one
with other flags. A part that cannot be had skips its tests with the reason; in CI it fails them,
unless the part is optional.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from typing import Any

import pytest
from parts import kinds
from parts.cache import STAMP, NotInstalledError
from parts.running import Server

INSTALL_S = 1800  # the first test of a part may have to install it
StartServer = Callable[..., Server]


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Tests of real servers are slow, may install, and share one worker with their servers."""
    for item in items:
        if item.get_closest_marker("servers"):
            item.add_marker("slow")
            item.add_marker(pytest.mark.xdist_group("servers"))  # for --dist loadgroup
            if not item.get_closest_marker("timeout"):
                item.add_marker(pytest.mark.timeout(INSTALL_S))


@contextmanager
def part_or_skip() -> Iterator[None]:
    """Turn a part that cannot be had into a skipped test, or in CI into a failed one."""
    try:
        yield
    except NotInstalledError as error:
        if os.environ.get("CI") and not error.optional:
            pytest.fail(str(error), pytrace=False)
        pytest.skip(str(error))


def start(stack: ExitStack, kind: str, *flags: str, **options: Any) -> Server:
    """A server that lives as long as `stack`; flags and options are those of its `serve`.

    Where a kind has options FOR_TESTS, these hold unless they are given.
    """
    with part_or_skip():
        module = kinds.module(kind)
        if module.PART.optional and not (module.PART.folder / STAMP).exists():
            pytest.skip(
                f"compiled for long, so only on demand: python tests/parts/install.py {kind}"
            )
        given = {**getattr(module, "FOR_TESTS", {}), **options}
        server: Server = stack.enter_context(module.serve(*flags, **given))
        return server


@pytest.fixture
def start_server() -> Iterator[StartServer]:
    """Start servers with other flags: `start_server("vllm", "--max-num-seqs", "4")`; 20 s each."""
    with ExitStack() as stack:
        yield partial(start, stack)


@pytest.fixture(scope="session")
def session_server() -> Iterator[StartServer]:
    """As `start_server`, but for servers that live as long as the session."""
    with ExitStack() as stack:
        yield partial(start, stack)


@pytest.fixture(scope="session")
def vllm_server(session_server: StartServer) -> Server:
    """The real vLLM with the tiny Llama."""
    return session_server("vllm")


@pytest.fixture(scope="session")
def transformers_server(session_server: StartServer) -> Server:
    """`transformers serve`, one request after another."""
    return session_server("transformers")


@pytest.fixture(scope="session")
def batching_transformers_server(session_server: StartServer) -> Server:
    """`transformers serve` with continuous batching."""
    return session_server("transformers", *kinds.module("transformers").CONTINUOUS)


@pytest.fixture(scope="session")
def triton_server(session_server: StartServer) -> Server:
    """The real Triton: `tiny_stream` is decoupled, `tiny_batch` has dynamic batching."""
    return session_server("triton")


@pytest.fixture(scope="session")
def llama_cpp_server(session_server: StartServer) -> Server:
    """The server of llama-cpp-python."""
    return session_server("llama-cpp")
