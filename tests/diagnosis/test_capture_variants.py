"""The stored captures as other versions, set-ups and scrapers would have given them.

Each variant is made of the real pages by a change of their text. What a server told once and tells
again by other names must lead to the same answer; where a metric is missing the answer may be
weaker, never another one.
"""

from __future__ import annotations

import random
import re
from pathlib import Path

import pytest
from vllm_states import OTHERS, STATES

from costaudit.diagnosis.run import diagnose_saved
from costaudit.record.servers.found import Given

FOLDER = Path(__file__).parent / "captures"
FIRST = {name: state.first for name, state in (STATES | OTHERS).items()}
CAPTURED = sorted(path.name for path in FOLDER.iterdir() if path.is_dir())
WITHOUT = {
    "vllm:num_preemptions_total": ("kv-preemption", "kv-full")
}  # the queue for the same cache
HARMLESS = {"healthy", "idle", "suspect", "cannot tell"}
SAMPLE = re.compile(r"^(vllm:\w+)(\{.*\})? (\S+)$", re.MULTILINE)
OLD = (
    ("vllm:kv_cache_usage_perc", "vllm:gpu_cache_usage_perc"),
    ("vllm:prefix_cache_", "vllm:gpu_prefix_cache_"),
    ("vllm:inter_token_latency_seconds", "vllm:time_per_output_token_seconds"),
)
# Not yet there in vLLM 0.8.
NEW = (
    "num_requests_waiting_by_reason|prompt_tokens_by_source|prompt_tokens_cached|"
    "request_prefill_kv_computed_tokens|request_time_per_output_token|external_prefix_cache"
)


def pages(name):
    return [path.read_text() for path in sorted((FOLDER / name).glob("*.prom"))]


def unstamped(text):
    return re.sub(r"^# scraped_at .*\n", "", text)


def told(texts, folder, *, seconds=None):
    for number, text in enumerate(texts):
        (folder / f"{number:03d}.prom").write_text(text)
    found = diagnose_saved(sorted(folder.glob("*.prom")), seconds=seconds, given=Given())
    return [one.id for one in found.findings] or [found.state.value]


def old_names(text):
    for new, old in OLD:
        text = text.replace(new, old)
    return re.sub(rf"^vllm:({NEW}).*\n", "", text, flags=re.MULTILINE)


def no_engine_label(text):
    return re.sub(r'engine="0",?', "", old_names(text))


def by_ray(text):
    name = r'ray_\1{ReplicaId="a1b2",WorkerId="7",'
    return re.sub(r"^(vllm:\w+)\{", name, text, flags=re.MULTILINE).replace(
        "ray_vllm:", "ray_vllm_"
    )


def more_labels(text):
    pod = r'\1{namespace="prod",pod="llm-0",container="vllm",'
    return re.sub(r"^(vllm:\w+)\{", pod, text, flags=re.MULTILINE)


def two_ranks(text):
    """A second engine that does the same."""
    other = [line.replace('engine="0"', 'engine="1"') for line in text.splitlines()]
    return text + "\n".join(line for line in other if line.startswith("vllm:")) + "\n"


def with_help(text):
    family = re.compile(r"^(vllm:\w+?)(_bucket|_sum|_count)?\{", re.MULTILINE)
    names = dict.fromkeys(match[1] for match in family.finditer(text))
    helped = "".join(f"# HELP {name} Of something.\n# TYPE {name} untyped\n" for name in names)
    return text.replace("\n", f"\n{helped}", 1) + "# EOF\n"


def with_times(text):
    return SAMPLE.sub(r"\1\2 \3 1790000000000", text)


SAME = {
    "old names": old_names,
    "no engine label": no_engine_label,
    "by Ray": by_ray,
    "more labels": more_labels,
    "two ranks": two_ranks,
    "comments": with_help,
    "times behind the values": with_times,
    "Windows line ends": lambda text: text.replace("\n", "\r\n"),
}


@pytest.mark.parametrize("variant", SAME)
@pytest.mark.parametrize("name", CAPTURED)
def test_the_same_state_told_otherwise(name, variant, tmp_path):
    assert told([SAME[variant](text) for text in pages(name)], tmp_path) == [FIRST[name]]


def fewer(texts):
    """Every third page, and the last."""
    return [*texts[:-1:3], texts[-1]]


@pytest.mark.parametrize("name", CAPTURED)
def test_scraped_less_often(name, tmp_path):
    assert told(fewer(pages(name)), tmp_path) == [FIRST[name]]


@pytest.mark.parametrize("name", CAPTURED)
@pytest.mark.parametrize("order", ["reversed", "first and last, then the rest", "any"])
def test_files_in_another_order(name, order, tmp_path):
    texts = [unstamped(text) for text in pages(name)]
    match order:
        case "reversed":
            texts.reverse()
        case "any":
            random.Random(5).shuffle(texts)
        case _:
            texts = [texts[0], texts[-1], *texts[1:-1]]
    assert told(texts, tmp_path, seconds=15) == [FIRST[name]]


@pytest.mark.parametrize("name", CAPTURED)
def test_a_restart_is_told_and_the_time_since_is_judged(name, tmp_path):
    first, *rest = (unstamped(text) for text in pages(name))
    before = SAMPLE.sub(lambda m: f"{m[1]}{m[2] or ''} {float(m[3]) * 1000 + 1000:g}", first)
    found = told([before, first, *rest], tmp_path, seconds=16)
    beside = [] if FIRST[name] in HARMLESS | {"prefix-caching-off"} else [FIRST[name]]
    assert found == ["restarts", *beside]  # beside a sure fault what is possible stands apart


def families(texts):
    names = {match[1] for text in texts for match in SAMPLE.finditer(text)}
    return sorted({re.sub(r"_(bucket|sum|count)$", "", name) for name in names})


@pytest.mark.slow
@pytest.mark.parametrize("name", CAPTURED)
def test_a_missing_metric_brings_no_other_cause(name, tmp_path):
    texts = fewer(pages(name))
    for family in families(texts):
        drop = re.compile(rf"^{re.escape(family)}(_bucket|_sum|_count)?\{{.*\n", re.MULTILINE)
        found = told([drop.sub("", text) for text in texts], tmp_path)
        if WITHOUT.get(family) != (FIRST[name], *found):
            assert found == [FIRST[name]] or set(found) <= HARMLESS, family


@pytest.mark.parametrize("name", CAPTURED)
def test_without_buckets_no_other_cause(name, tmp_path):
    drop = re.compile(r"^vllm:\w+_bucket\{.*\n", re.MULTILINE)
    found = told([drop.sub("", text) for text in pages(name)], tmp_path)
    assert found == [FIRST[name]] or set(found) <= HARMLESS
