"""The program starts fast because it loads nothing heavy."""

from __future__ import annotations

import resource
import subprocess
import sys

import pytest

HEAVY = ("torch", "transformers", "pynvml", "nvtx", "pandas", "scipy", "numpy", "rich", "jinja2")
HEAVY = (*HEAVY, "psutil", "pydantic", "jsonschema", "safetensors", "tokenizers")
PROGRAM = """
import sys
from costaudit.cli.main import run
code = run({arguments!r})
print("loaded:", *sorted({heavy!r} & set(sys.modules)))
sys.exit(code)
"""


def loaded(*arguments: str) -> set[str]:
    program = PROGRAM.format(arguments=list(arguments), heavy=set(HEAVY))
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    return set(done.stdout.rsplit("loaded:", 1)[1].split())


@pytest.mark.parametrize(
    "command", [[], ["profile"], ["report"], ["gate"], ["steps"], ["probes"], ["doctor"]]
)
def test_help_loads_nothing_heavy(command):
    assert loaded(*command, "--help") == set()


def test_the_playbook_and_the_workloads_are_read_without_the_machine():
    assert not loaded("steps") & {"torch", "transformers", "pynvml", "nvtx", "pandas"}
    assert not loaded("probes") & {"torch", "transformers", "pynvml", "nvtx", "pandas"}


def test_the_doctor_does_not_load_what_it_looks_for():
    assert not loaded("doctor") & {"torch", "transformers"}


def used_s(
    *arguments: str, runs: int = 10, program: tuple[str, ...] = ("-m", "costaudit")
) -> float:
    """Least processor time of a command; on an idle machine this is what a user waits."""
    command = [sys.executable, *program, *arguments]
    times = []
    for _ in range(runs):
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        subprocess.run(command, check=True, capture_output=True)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        times.append(after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime)
    return min(times)


@pytest.mark.slow
@pytest.mark.alone
def test_help_is_there_within_150_ms():
    taken_s = used_s("--help")
    if taken_s > 0.150:  # a slowed machine: then what typer alone takes is longer, too
        assert taken_s <= 2.2 * used_s(program=("-c", "import typer"))


@pytest.mark.slow
def test_the_doctor_needs_less_than_a_second():
    assert used_s("doctor", runs=5) <= 1.0
