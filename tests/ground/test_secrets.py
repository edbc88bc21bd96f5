"""A command line is written down without anything that opens a door."""

from __future__ import annotations

import shlex

import pytest
from hypothesis import given
from hypothesis import strategies as st

from costaudit.ground.secrets import MASK, without_secrets

SECRETS = st.text("abcdefghijkmnpqrtuvwxyzABCDEFGHJKLMNPQRTUVWXYZ23456789_-./+", min_size=8)
FORMS = (
    "--api-key={}",
    "--header=Authorization: Bearer {}",
    "Authorization: Bearer {}",
    "X-Api-Key: {}",
    "api_key={}",
    "HF_TOKEN={}",
    "https://user:{}@host:8000/v1",
    "https://{}@host/v1",
    "user:{}@host:8000",
    "--metrics-url=https://host/metrics?token={}",
    "https://host/v1?a=b&sig={}",
    "https://host/v1#{}",
)
SHAPES = ("sk-{}", "hf_{}", "/run/sk-proj-{}", "eyJhbGciOiJIUzI1NiJ9.{}")
FLAGS = ("--api-key", "--token", "--hf-token", "--header", "-H", "-u", "--password")


@given(secret=SECRETS, form=st.sampled_from(FORMS))
def test_a_secret_in_a_word_is_masked(secret, form):
    told = without_secrets(["costaudit", "profile", form.format(secret)], {})
    assert secret not in told.replace(MASK, "")
    assert MASK in told


@given(secret=st.text("abcdefgh23456789", min_size=8), shape=st.sampled_from(SHAPES))
def test_what_is_shaped_like_a_key_is_masked(secret, shape):
    told = without_secrets(["costaudit", "profile", shape.format(secret)], {})
    assert secret not in told


@given(secret=SECRETS.filter(lambda s: not s.startswith("--")), flag=st.sampled_from(FLAGS))
def test_the_word_behind_a_secret_flag_is_masked(secret, flag):
    told = shlex.split(without_secrets(["costaudit", flag, secret, "demo"], {}))
    assert told == ["costaudit", flag, MASK, "demo"]


@given(secret=SECRETS, name=st.sampled_from(["COSTAUDIT_API_KEY", "HF_TOKEN", "MY_PASSWORD"]))
def test_a_secret_of_the_environment_is_masked_wherever_it_stands(secret, name):
    told = without_secrets(["costaudit", f"x{secret}y", f"--knob=a{secret}"], {name: secret})
    assert secret not in told.replace(MASK, "")


@pytest.mark.parametrize(
    "words",
    [
        "costaudit profile demo --html demo.html --price 3.9",
        "costaudit profile http://127.0.0.1:8000 --gpu H100 --knob max_num_seqs=64",
        "costaudit profile URL --token-price 0.15,0.60 --max-tokens 5000 --output-tokens 64",
        "costaudit profile meta-llama/Llama-3.1-8B-Instruct --tokenizer /data/tokenizer.json",
        "costaudit profile /data/Qwen2.5-72B-Instruct-GPTQ-Int4 -o run.costaudit",
    ],
)
def test_what_is_no_secret_stays(words):
    assert without_secrets(words.split(), {"LANG": "C.UTF-8", "HOME": "/data"}) == words


def test_a_very_long_line_is_cut():
    assert len(without_secrets(["costaudit", *["word"] * 5000], {})) < 2100
