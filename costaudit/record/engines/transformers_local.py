"""Drives a Hugging Face causal LM inside this process, step by step."""

from __future__ import annotations

import time
from functools import partial
from typing import TYPE_CHECKING, Any, Protocol

from costaudit.ground.errors import UsageError
from costaudit.record.engines import low_bit
from costaudit.record.engines.clock import Clock, clock_for
from costaudit.record.engines.engine import PreparedSteps, ReplayedSpan, Timing
from costaudit.record.engines.int8 import speedups
from costaudit.record.engines.kv_tensors import (
    filled_cache,
    held_bytes,
    keeps_last_logits,
    random_ids,
    restorer,
)
from costaudit.record.engines.memory import (
    SMALLER_CACHE,
    check_fits,
    device_memory_bytes,
    memory_errors,
)
from costaudit.record.engines.step_graph import StepGraph, check_capturable
from costaudit.target.load import StepLoad, prefill_load
from costaudit.target.work import kv_bytes

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from costaudit.target.target import Target

    Step = Callable[..., Any]  # input_ids and more → next tokens


class Ranges(Protocol):
    """Where phases are announced (NVTX)."""

    def push(self, phase: str, tokens: int) -> None:
        """A step of this phase begins."""

    def pop(self) -> None:
        """It ended."""


class TransformersEngine:
    """A model of transformers with its own forward passes; greedy, no text.

    On a CPU torch is held to one compute thread: thread time is then the time of all the work.
    `close` gives the thread count back and lets the model go. With `static_cache` each cache is
    allocated once, for all the tokens that it will hold; with `graphs` a step over it is captured
    before it is timed, and launched as one; with `fp8_cache` it holds 8 bits.
    """

    def __init__(
        self,
        model: Any,
        target: Target,
        *,
        ranges: Ranges | None = None,
        static_cache: bool = False,
        graphs: bool = False,
        fp8_cache: bool = False,
    ) -> None:
        import torch

        self.target = target
        self._static = static_cache
        self._graphs = graphs
        self._fp8_cache = fp8_cache
        self.ranges = ranges
        self.device_kind: str = model.device.type
        self._model = model.eval()
        self._clock: Clock = clock_for(model.device)
        self._last_only = keeps_last_logits(model)
        self._threads = torch.get_num_threads()
        if self.device_kind == "cpu":
            torch.set_num_threads(1)

    def prepare_prefill(self, *, seqs: int, new_tokens: int, cached_tokens: int) -> PreparedSteps:
        """One prefill step of `seqs` prompts of `new_tokens` behind `cached_tokens` of context.

        Raises:
            UsageError: a length is not positive or beyond the model's context.
            TargetError: not enough memory for the cache.
        """
        import torch

        self._check(seqs, new_tokens, cached_tokens)
        with torch.inference_mode(), memory_errors(f"{seqs} × {new_tokens + cached_tokens} tokens"):
            ids = random_ids(self._model, seqs, new_tokens)
            cache = self._filled(seqs, cached_tokens, cached_tokens + new_tokens)
            step = self._captured(cache, input_ids=ids)
        load = prefill_load(new_tokens=new_tokens, cached_tokens=cached_tokens, seqs=seqs)
        return PreparedSteps(
            load=load,
            steps=1,
            reset=restorer(cache),
            run=lambda: self._steps("prefill", [ids], cache, step),
        )

    def prepare_decode(self, *, seqs: int, context_tokens: int, steps: int) -> PreparedSteps:
        """`steps` decode steps of `seqs` sequences that start with `context_tokens` each.

        The load is that of the middle of the run: the context grows by one token per step.

        Raises:
            UsageError: a length is not positive or beyond the model's context.
            TargetError: not enough memory for the cache.
        """
        import torch

        self._check(seqs, steps, context_tokens)
        with torch.inference_mode(), memory_errors(f"{seqs} × {context_tokens + steps} tokens"):
            ids = random_ids(self._model, seqs, steps).split(1, dim=1)
            cache = self._filled(seqs, context_tokens, context_tokens + steps)
            step = self._captured(cache, input_ids=ids[0])
        mean_context = context_tokens + (steps - 1) / 2
        return PreparedSteps(
            load=StepLoad(decode_seqs=seqs, decode_context_tokens=seqs * mean_context),
            steps=steps,
            reset=restorer(cache),
            run=lambda: self._steps("decode", ids, cache, step),
        )

    def timed(self, run: Callable[[], None]) -> Timing:
        """Run once and time it by this device's clock; the device is idle before and after."""
        self._clock.wait()
        wall = time.perf_counter()
        start = self._clock.mark()
        run()
        (seconds,) = self._clock.seconds(start, self._clock.mark())
        return Timing(seconds=seconds, wall_s=time.perf_counter() - wall, clock=self._clock.name)

    def replay_batch(
        self, lengths: Sequence[tuple[int, int]]
    ) -> tuple[Sequence[ReplayedSpan], Sequence[float]]:
        """One static batch of (prompt, output) lengths; see `LocalEngine`.

        Loads are those really run: padded prompts, and finished rows that still take part. There
        is no decode span when every output is one token long.

        Raises:
            UsageError: no requests, or a length that the model's context does not hold.
            TargetError: not enough memory for the cache.
        """
        import torch

        from costaudit.record.engines.static_batch import Driven, run_static_batch

        if not lengths:
            raise UsageError("a batch needs at least one request")
        width = max(prompt for prompt, _ in lengths)
        outputs = max(output for _, output in lengths)
        self._check(len(lengths), min(min(pair) for pair in lengths), 0)
        self._check(len(lengths), width + outputs - 1, 0)
        with torch.inference_mode(), memory_errors(f"{len(lengths)} × {width + outputs} tokens"):
            ids = random_ids(self._model, len(lengths), width)
            room = width + outputs
            cache = self._filled(len(lengths), 0, room)
            captured = partial(self._captured, cache)
            driven = Driven(forward=self._forward, captured=captured, clock=self._clock)
            return run_static_batch(driven, ids, lengths, cache=cache, room=room)

    def kv_bytes_held(self, *, seqs: int, tokens: int) -> int:
        """Bytes in the cache tensors after `seqs` sequences of `tokens` tokens were computed."""
        import torch

        self._check(seqs, tokens, 0)
        with torch.inference_mode(), memory_errors(f"{seqs} × {tokens} tokens"):
            return held_bytes(self._filled(seqs, tokens, tokens))

    def scores(self, ids: Sequence[int]) -> tuple[list[float], list[int]]:
        """Of each token but the first: its negative log-likelihood in nats, and the greedy token.

        Raises:
            UsageError: fewer than two tokens, or more than the model's context holds.
            TargetError: not enough memory.
        """
        import torch

        self._check(1, len(ids), 0)
        with torch.inference_mode(), memory_errors(f"{len(ids)} tokens"):
            row = torch.tensor([list(ids)], device=self._model.device)
            # A cache that holds fewer bits changes the answers; any other does not.
            cached = {"past_key_values": self._filled(1, 0, len(ids))} if self._fp8_cache else {}
            out = self._model(input_ids=row, use_cache=bool(cached), **cached)
            logits = out.logits[0, :-1].float()
            losses = torch.nn.functional.cross_entropy(logits, row[0, 1:], reduction="none")
            return losses.tolist(), logits.argmax(dim=-1).tolist()

    def int8_speedups(self, rows: Sequence[int]) -> Mapping[int, float]:
        """How much faster int8 multiplies this model's layers, by rows; empty where it is none.

        Dynamic int8 runs on a CPU only, and what is quantized has no layers to compare with.
        """
        if self.device_kind != "cpu" or "quantization" in self.target.knobs:
            return {}
        with memory_errors("a part of the model in int8"):
            return speedups(self._model, self.timed, rows)

    def low_bit_speedups(self, rows: Sequence[int]) -> Mapping[str, Mapping[int, float]]:
        """The same of each format of `low_bit`, on a GPU; empty elsewhere."""
        if self.device_kind != "cuda" or "quantization" in self.target.knobs:
            return {}
        with memory_errors("a part of the model in few bits"):
            return low_bit.speedups(self._model, self.timed, rows)

    def memory_bytes(self) -> tuple[int, int]:
        """(used, total) bytes: of the GPU, or of this process and what it may use of the host."""
        return device_memory_bytes(self._model.device)

    def close(self) -> None:
        """Let the model go and give torch its threads back."""
        import torch

        torch.set_num_threads(self._threads)
        self._model = None
        if self.device_kind == "cuda":
            torch.cuda.empty_cache()

    def _filled(self, seqs: int, tokens: int, room: int) -> Any:
        """A cache that holds `tokens` and, where it cannot grow, has room for `room`."""
        room = room if self._static else 0
        return filled_cache(self._model, seqs=seqs, tokens=tokens, room=room, fp8=self._fp8_cache)

    def _steps(
        self, phase: str, chunks: Sequence[Any], cache: Any, step: Step | None = None
    ) -> None:
        import torch

        with torch.inference_mode():
            for ids in chunks:
                self._forward(phase, ids, cache, step)

    def _forward(
        self, phase: str, ids: Any, cache: Any, step: Step | None = None, **inputs: Any
    ) -> Any:
        """One step of the model inside its range; the greedy next token of every row, [seqs, 1].

        `step` is the captured one to run instead, with the inputs that differ from the last time.
        """
        if self.ranges is not None:
            self.ranges.push(phase, ids.numel())
        tokens = (step or self._step(cache))(input_ids=ids, **inputs)
        if self.ranges is not None:
            self.ranges.pop()
        return tokens

    def _step(self, cache: Any) -> Step:
        """The model's own forward pass over a cache."""

        def step(**inputs: Any) -> Any:
            out = self._model(past_key_values=cache, use_cache=True, **self._last_only, **inputs)
            return out.logits[:, -1:].argmax(dim=-1)

        return step

    def _captured(self, cache: Any, **inputs: Any) -> Step | None:
        """A step over the cache, captured; None where steps are run as they come."""
        if not self._graphs:
            return None
        check_capturable(cache)
        return StepGraph(self._step(cache), inputs, restorer(cache))

    def _check(self, seqs: int, tokens: int, cached: int) -> None:
        limit = self.target.known_shape.max_context_tokens
        if seqs < 1 or tokens < 1 or cached < 0:
            raise UsageError(f"cannot run {seqs} sequences of {tokens} tokens behind {cached}")
        if tokens + cached > limit:
            raise UsageError(
                f"{tokens + cached} tokens do not fit in the model's context of {limit}",
                hint="shorten the workload's lengths",
            )
        shape, element = self.target.known_shape, self._model.dtype.itemsize
        # A growing cache holds one layer's states twice while it copies them.
        need = seqs * kv_bytes(shape, tokens + cached, element) * (1 + 2 / shape.layers)
        what = f"a cache of {seqs} × {tokens + cached} tokens"
        check_fits(need, self._model.device, what, hint=SMALLER_CACHE)
