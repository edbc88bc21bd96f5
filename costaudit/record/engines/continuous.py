"""transformers' own continuous batching over its own paged cache, driven in this process."""

from __future__ import annotations

import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from costaudit.ground.errors import TargetError
from costaudit.record.engines.engine import Timing
from costaudit.record.engines.kv_tensors import random_ids
from costaudit.record.engines.loading import quiet
from costaudit.record.engines.memory import memory_errors
from costaudit.record.engines.transformers_local import TransformersEngine

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

PAGE_TOKENS = 16  # of a page of the cache: what the what-if engine gives out at a time
_SPARE_SHARE = 0.5  # of the pages: below 15 % free ones its scheduler admits nobody
_POLL_S = 1.0


class ContinuousEngine(TransformersEngine):
    """Requests join and leave between steps; steps alone run as in its parent."""

    def replay_stream(self, lengths: Sequence[tuple[int, int]], *, rows: int) -> Timing:
        """Run requests of (prompt, output) lengths, all waiting from the start, `rows` together.

        Seconds run from the first request to the last token: CPU time of the whole process on a
        CPU (its scheduler has a thread of its own), wall time on a GPU.

        Raises:
            UsageError: a length that the model's context does not hold.
            TargetError: the engine failed, or there is too little memory.
        """
        for prompt, output in lengths:
            self._check(1, prompt + output - 1, 0)
        with memory_errors(f"{rows} paged sequences"), self._manager(lengths, rows) as manager:
            self._serve(manager, lengths[:1])  # its cache and its thread are there
            self._clock.wait()
            wall, start = time.perf_counter(), self._spent_s()
            self._serve(manager, lengths)
            self._clock.wait()
            return Timing(
                seconds=self._spent_s() - start,
                wall_s=time.perf_counter() - wall,
                clock=self._clock.name,
            )

    def _spent_s(self) -> float:
        return time.process_time() if self.device_kind == "cpu" else time.perf_counter()

    @contextmanager
    def _manager(self, lengths: Sequence[tuple[int, int]], rows: int) -> Iterator[Any]:
        from transformers import ContinuousBatchingConfig, GenerationConfig

        longest = max(prompt + output for prompt, output in lengths)
        pages = -(-longest // PAGE_TOKENS) + 1
        config = ContinuousBatchingConfig(
            page_size=PAGE_TOKENS,
            num_blocks=round(rows * pages * (1 + _SPARE_SHARE)) + 1,
            max_batch_tokens=rows * max(prompt for prompt, _ in lengths),  # prompts go in whole
            max_requests_per_batch=rows,
            allow_block_sharing=False,
        )
        greedy = GenerationConfig(
            max_new_tokens=longest, do_sample=False, eos_token_id=-1, pad_token_id=0
        )
        with (
            quiet(),
            self._model.continuous_batching_context_manager(
                generation_config=greedy,
                continuous_batching_config=config,
                block=True,
                timeout=5,
                warmup=False,
            ) as manager,
        ):
            yield manager

    def _serve(self, manager: Any, lengths: Sequence[tuple[int, int]]) -> None:
        waited = {
            manager.add_request(
                random_ids(self._model, 1, prompt)[0].tolist(),
                max_new_tokens=output,
                eos_token_id=-1,
            )
            for prompt, output in lengths
        }
        while waited:
            result = manager.get_result(timeout=_POLL_S)
            if result is None and not manager.is_running():
                raise TargetError("the continuous batching of transformers ended by itself")
            if result is not None and result.error is not None:
                raise TargetError(f"the continuous batching of transformers failed: {result.error}")
            if result is not None and result.is_finished():
                waited.discard(result.request_id)
