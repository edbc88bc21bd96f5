"""Reports of load tools are read right: the shape is that of the pinned versions."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path

import pytest

BENCH = Path(__file__).resolve().parents[2] / "bench"


@pytest.fixture(autouse=True)
def _bench_on_the_path(monkeypatch):
    monkeypatch.syspath_prepend(str(BENCH))


def quantiles(scale=1.0, *, middle="p50"):
    return {middle: 201.5 * scale, "p99": 215.25 * scale}


def itl(scale=1.0, *, middle="p50"):
    return {middle: 20.25 * scale, "p99": 36.5 * scale}


def rung_document():
    def spread(p50, p99):
        late = {"client_error_s": 0.001, "enough": False}
        return {"p50": {"value_s": p50, **late}, "p99": {"value_s": p99, **late}, "samples": 3}

    return {
        "latency": {
            "ttft_s": spread(0.2015, 0.21525),
            "itl_s": spread(0.02025, 0.0365),
            "tpot_s": spread(0.02025, 0.0365),
        },
        "requests": {"failed": 0},
        "client": {"why": "", "shared_events": 2},
    }


# The shape of what each tool writes, as its pinned version wrote it here; figures made up.
REPORTS = {
    "aiperf": {
        "time_to_first_token": {"unit": "ms", **quantiles()},
        "inter_token_latency": {"unit": "ms", **itl()},
        "request_count": {"unit": "requests", "avg": 64.0},
    },
    "costaudit": rung_document(),
    "genai_bench": {
        "aggregated_metrics": {
            "num_error_requests": 0,
            "stats": {"ttft": quantiles(), "tpot": itl()},
        }
    },
    "guidellm": {
        "benchmarks": [
            {
                "metrics": {
                    "request_totals": {"successful": 64, "errored": 0},
                    "time_to_first_token_ms": {"successful": {"percentiles": quantiles()}},
                    "inter_token_latency_ms": {"successful": {"percentiles": itl()}},
                }
            }
        ]
    },
    "inference_perf": {
        "failures": {"count": 0},
        "successes": {
            "latency": {
                "time_to_first_token": quantiles(1e-3, middle="median"),
                "inter_token_latency": itl(1e-3, middle="median"),
                "time_per_output_token": itl(1e-3, middle="median"),
            }
        },
    },
    "servebench": {
        "levels": [
            {
                "client_lag_p99_ms": 0.4,
                "summary": {
                    "ttft": quantiles(1e-3),
                    "itl": itl(1e-3),
                    "tpot": itl(1e-3),
                    "failed": 0,
                },
            }
        ]
    },
    "vllm_python": {
        "p50_ttft_ms": 201.5,
        "p99_ttft_ms": 215.25,
        "p50_itl_ms": 20.25,
        "p99_itl_ms": 36.5,
        "p50_tpot_ms": 20.0,
        "failed": 0,
    },
}


@pytest.mark.parametrize("name", sorted(REPORTS))
def test_a_report_is_read(name):
    seen = import_module(f"peers.{name}").seen(REPORTS[name])
    assert seen.ttft_p50_ms == pytest.approx(201.5)
    assert seen.ttft_p99_ms == pytest.approx(215.25)
    assert seen.itl_p50_ms == pytest.approx(20.25)
    assert seen.itl_p99_ms == pytest.approx(36.5)
    assert (seen.failed, seen.remark) == (0, "")


def test_what_a_tool_does_not_report_stays_unknown():
    from peers import inference_perf

    told = {"failures": {"count": 3}, "successes": {"latency": {}}}
    told["successes"]["latency"] = dict.fromkeys(
        ("time_to_first_token", "inter_token_latency", "time_per_output_token")
    )
    seen = inference_perf.seen(told)
    assert (seen.ttft_p50_ms, seen.itl_p99_ms, seen.tpot_p50_ms) == (None, None, None)
    assert seen.failed == 3
