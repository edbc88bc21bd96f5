"""What is read of a page beside the metric map: the process's start, LoRA adapters in labels."""

from __future__ import annotations

from costaudit.record.passive.page import page_of
from costaudit.record.servers.fetch import Reply
from costaudit.record.servers.found import MetricsSource

SOURCE = MetricsSource(url="http://page.invalid", servers=("vllm-v1", "vllm-v0"))


def read(*lines):
    body = "\n".join(lines).encode()
    page = page_of(Reply(url=SOURCE.url, status=200, body=body), SOURCE, 0.0)
    return {name: one.value for name, one in page.quantities.items()}


def test_the_start_of_the_process():
    assert read("process_start_time_seconds 1.79e+09") == {"server.started": 1.79e9}


def test_adapters_are_those_of_the_newest_labels():
    old = '{max_lora="2",running_lora_adapters="a",waiting_lora_adapters=""} 100'
    new = '{max_lora="2",running_lora_adapters="a,b",waiting_lora_adapters="b,c,d"} 200'
    found = read(f"vllm:lora_requests_info{new}", f"vllm:lora_requests_info{old}")
    assert {name: found[f"lora.{name}"] for name in ("running", "waiting", "max")} == {
        "running": 2,
        "waiting": 2,
        "max": 2,
    }


def test_damaged_adapters_are_none():
    found = read('vllm:lora_requests_info{max_lora="9999999999",other="x"} 1')
    assert "lora.max" not in found
    assert (found["lora.running"], found["lora.waiting"]) == (0, 0)


def test_engines_and_replicas_are_told_apart_together():
    found = read(
        'ray_vllm_num_requests_running{engine="0",ReplicaId="a"} 3',
        'ray_vllm_num_requests_running{engine="0",ReplicaId="b"} 5',
    )
    assert found == {
        "requests.running": 8,
        "requests.running@0/a": 3,
        "requests.running@0/b": 5,
    }
