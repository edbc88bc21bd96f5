"""The KV cache: bytes per token as the tensors hold it, its budget, and what layouts waste."""

from __future__ import annotations

from typing import TYPE_CHECKING

from costaudit.record.meters.host import host_memory
from costaudit.recording.rows import Fact, Task
from costaudit.target.target import Origin
from costaudit.target.work import kv_bytes, kv_bytes_per_token, total_params

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from costaudit.record.engines.engine import LocalEngine
    from costaudit.record.run import Run

ELEMENT_BYTES = {"float32": 4, "bfloat16": 2, "float16": 2}
BLOCK_TOKENS = 16  # of a paged cache, as vLLM's default
_HELD_SEQS, _HELD_TOKENS = 2, 256
_CPU_BUDGET_BYTES, _CPU_FREE_SHARE = 1 << 30, 0.25  # other programs live on the host too
_GPU_TOTAL_SHARE = 0.9  # of the device's memory, as vLLM's default gpu_memory_utilization


def measure_kv(run: Run, task: Task) -> None:
    """Record bytes per token held and by formula, the memory budget, and capacity in tokens."""
    shape = run.engine.target.known_shape
    element = ELEMENT_BYTES.get(run.engine.target.dtype)
    tokens = min(_HELD_TOKENS, shape.max_context_tokens)
    held = run.engine.kv_bytes_held(seqs=_HELD_SEQS, tokens=tokens)
    per_token = held / (_HELD_SEQS * tokens)
    formula = None if element is None else kv_bytes(shape, tokens, element) / tokens
    why = "" if formula else f"no element size is known for {run.engine.target.dtype}"
    at = f"{_HELD_SEQS} sequences of {tokens} tokens"
    budget = _budget(run)
    budget_bytes = budget[0].value
    capacity = int(budget_bytes / per_token) if isinstance(budget_bytes, (int, float)) else None
    run.recording.add(
        _fact("bytes_per_token", per_token, "B", f"tensors held after {at}"),
        _fact("bytes_per_token_formula", formula, "B", why or f"at {tokens} tokens"),
        _fact("element_bytes", element, "B", why),
        *budget,
        _fact("capacity_tokens", capacity, "tokens", "memory for the cache over bytes per token"),
        done=task.id,
    )


def _budget(run: Run) -> tuple[Fact, ...]:
    """Memory for the cache: given, or what is safe beside weights and activations."""
    engine = run.engine
    used, total = engine.memory_bytes()
    element = ELEMENT_BYTES.get(engine.target.dtype, 4)
    weights = total_params(engine.target.known_shape) * element
    activations = _activation_bytes(engine, element)
    if run.options.kv_budget_bytes is not None:
        budget, origin, why = run.options.kv_budget_bytes, Origin.GIVEN, "given"
    elif engine.device_kind == "cpu":
        free = max(0, host_memory().available_bytes - activations)
        budget = min(_CPU_BUDGET_BYTES, int(free * _CPU_FREE_SHARE))
        origin, why = Origin.DEFAULT, "a quarter of the free memory, at most 1 GiB"
    else:
        budget = max(0, int(total * _GPU_TOTAL_SHARE) - used - activations)
        origin, why = Origin.DEFAULT, "90 % of the device less what is used and activations"
    return (
        _fact("budget_bytes", budget, "B", why, origin=origin),
        _fact("weights_bytes", weights, "B", "parameters times bytes of the dtype"),
        _fact("activations_bytes", activations, "B", "estimate, see costaudit.record.kv"),
        _fact("memory_used_bytes", used, "B", "before any cache was filled"),
    )


def _activation_bytes(engine: LocalEngine, element: int) -> int:
    """Upper estimate for one step of 2,048 rows: residual, Q, K, V, the MLP's two halves, logits.

    rows · (4·hidden + heads·d + 2·kv_heads·d + 2·ffn) elements, and one row of logits in float32
    for each of 64 sequences. Engines reuse buffers between layers, so one layer counts.
    """
    shape = engine.target.known_shape
    attention = (shape.heads + 2 * shape.kv_heads) * shape.head_dim
    row = 4 * shape.hidden + attention + 2 * shape.ffn
    return 2048 * row * element + 64 * shape.vocab * 4


def growth_bytes_per_token(run: Run) -> float:
    """Bytes that one more token adds while no window is full; what the tensors held where known."""
    held = run.fact("kv", "bytes_per_token")
    if isinstance(held, (int, float)):
        return float(held)
    element = ELEMENT_BYTES.get(run.engine.target.dtype, 4)
    return kv_bytes_per_token(run.engine.target.known_shape, element)


def waste_by_layout(batches: Sequence[Sequence[tuple[int, int]]]) -> Mapping[str, float]:
    """Share of reserved cache memory, over time, that holds no token of a live request.

    `batches` are static batches of (prompt, output) lengths; one step is one unit of time and a
    batch lasts for its longest output.
    - static: every row reserves the longest prompt and the longest output of all requests;
    - dynamic: every row of a batch is as long as the batch's longest prompt plus the steps so far,
      until the batch ends (left padding and finished rows, as transformers' DynamicCache);
    - paged: a request holds whole blocks of 16 tokens while it lives.
    """
    requests = [request for batch in batches for request in batch]
    row = max(p for p, _ in requests) + max(o for _, o in requests)
    live = static = dynamic = paged = 0
    for batch in batches:
        width, steps = max(p for p, _ in batch), max(o for _, o in batch)
        static += len(batch) * steps * row
        dynamic += len(batch) * (steps * width + steps * (steps + 1) // 2)
        for prompt, output in batch:
            live += output * prompt + output * (output + 1) // 2
            paged += sum(_blocks(prompt + done) for done in range(1, output + 1))
    return {
        "static": 1 - live / static,
        "dynamic": 1 - live / dynamic,
        "paged": 1 - live / paged,
    }


def _blocks(tokens: int) -> int:
    return -(-tokens // BLOCK_TOKENS) * BLOCK_TOKENS


def _fact(
    name: str, value: object, unit: str, why: str, *, origin: Origin = Origin.OBSERVED
) -> Fact:
    known = Origin.UNKNOWN if value is None else origin
    return Fact(subject="kv", name=name, value=value, unit=unit, origin=str(known), why=why)
