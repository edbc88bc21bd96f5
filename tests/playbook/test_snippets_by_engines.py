"""What a snippet says to type is what the engine takes: read by the engines' own parsers."""

from __future__ import annotations

import ast
import json
import re
import shlex
import subprocess

import pytest
from parts import triton_server, vllm_cpu
from parts.cache import installed
from parts.fixtures import part_or_skip

from costaudit.playbook.load import load

SNIPPETS = [(entry.step.id, entry.step.snippets) for entry in load()]
VLLM_PARSER = """
import contextlib, io, json, sys
from vllm.entrypoints.launchers import cli_args, run_batch
from vllm.utils.argparse_utils import FlexibleArgumentParser

makers = {"serve": cli_args.make_arg_parser, "run-batch": run_batch.make_arg_parser}
parsers = {name: make(FlexibleArgumentParser()) for name, make in makers.items()}
refused = {}
for line, (command, *arguments) in json.load(sys.stdin).items():
    said = io.StringIO()
    try:
        with contextlib.redirect_stderr(said):
            parsers[command].parse_args(arguments)
    except SystemExit:
        refused[line] = said.getvalue()[-300:]
print("refused", json.dumps(refused))
"""
TRITON_PARSER = """
import json, sys
from google.protobuf import text_format
from tritonclient.grpc.model_config_pb2 import ModelConfig

refused = {}
for step, stanza in json.load(sys.stdin).items():
    try:
        text_format.Parse(stanza, ModelConfig())
    except text_format.ParseError as error:
        refused[step] = str(error)
print("refused", json.dumps(refused))
"""


def refused(python, parser, asked):
    done = subprocess.run(
        [python, "-c", parser],
        input=json.dumps(asked),
        capture_output=True,
        text=True,
        check=False,
        timeout=200,
    )
    found = re.search(r"^refused (.*)$", done.stdout, re.MULTILINE)
    assert found, done.stderr[-2000:]
    return json.loads(found[1])


def lines_of(engine):
    """(step, line) of all that is to be typed."""
    return [
        (step_id, line)
        for step_id, snippets in SNIPPETS
        for line in snippets.get(engine, "").splitlines()
        if line.strip() and not line.startswith("#")
    ]


@pytest.fixture(scope="module")
def commands():
    """What is typed with the program vllm, by step and line."""
    asked = {}
    for step_id, line in lines_of("vllm"):
        program, *arguments = shlex.split(line)
        if program == "vllm":
            numbered = ["8" if argument == "N" else argument for argument in arguments]
            asked[f"{step_id}: {line}"] = numbered
    return asked


@pytest.fixture(scope="module")
def refused_by_vllm(commands):
    """All of them and two of ours, one wrong and one right: to load the parser takes 15 s."""
    with part_or_skip():
        python = installed(vllm_cpu.PART) / "bin/python"
    ours = {"wrong": ["serve", "MODEL", "--kv-chache-dtype", "fp8"], "right": ["serve", "MODEL"]}
    return refused(python, VLLM_PARSER, commands | ours)


@pytest.mark.servers
def test_vllm_s_parser_takes_every_command(commands, refused_by_vllm):
    assert len(commands) > 15
    assert commands.keys().isdisjoint(refused_by_vllm), refused_by_vllm


@pytest.mark.servers
def test_vllm_s_parser_refuses_what_it_does_not_know(refused_by_vllm):
    assert [line for line in refused_by_vllm if line in {"wrong", "right"}] == ["wrong"]


@pytest.mark.servers
def test_triton_s_own_schema_takes_every_stanza():
    with part_or_skip():
        python = installed(triton_server.PART) / "bin/python"
    asked = {
        step_id: snippets["triton"]
        for step_id, snippets in SNIPPETS
        if "config.pbtxt" in snippets.get("triton", "")
    }
    assert len(asked) > 5
    assert refused(python, TRITON_PARSER, asked) == {}
    assert list(refused(python, TRITON_PARSER, {"wrong": "max_batch: 8"})) == ["wrong"]


def config_words():
    """Keywords that snippets give to transformers' ContinuousBatchingConfig."""
    texts = [snippets.get("transformers", "") for _, snippets in SNIPPETS]
    return set(re.findall(r"ContinuousBatchingConfig\((\w+)=", " ".join(texts)))


@pytest.mark.slow
def test_transformers_knows_the_settings_of_continuous_batching():
    transformers = pytest.importorskip("transformers")
    assert config_words()
    fields = transformers.ContinuousBatchingConfig.__dataclass_fields__
    assert config_words() <= set(fields)


IN_A_SHELL = {"smaller-model-routing", "another-gpu"}  # typed in a shell, whatever the engine


@pytest.mark.parametrize("step_id", [i for i, texts in SNIPPETS if "transformers" in texts])
def test_snippets_in_python_are_python(step_id):
    text = dict(SNIPPETS)[step_id]["transformers"]
    if step_id not in IN_A_SHELL:
        ast.parse(text)
