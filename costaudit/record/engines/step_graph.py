"""A step over a static cache that is launched as one: its device time, not Python's.

Run kernel by kernel, a decode step of a model of 8 billion weights takes the host longer than the
device. On a CUDA device a step is captured once as a CUDA graph and replayed. On a CPU, where there
is nothing to capture, the same step runs over the same buffers, so that all of it but the capture
itself can be tried there.
"""

from __future__ import annotations

from contextlib import nullcontext
from typing import TYPE_CHECKING, Any

from costaudit.ground.errors import UsageError
from costaudit.record.engines.fp8_cache import is_static

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from contextlib import AbstractContextManager

_WAYS = 4  # in which a block is called: prompts or single tokens, into a new cache or a filled one
_WARM_UPS = 3  # kernels are loaded and tuned by their first runs, which must not be captured


class StepGraph:
    """`step(**inputs)` → next tokens, with tensors of ever the same places and shapes.

    `inputs` are examples of the tensors that change from step to step; `restore` sets the cache
    back, since trying the step advances it.
    """

    def __init__(
        self, step: Callable[..., Any], inputs: Mapping[str, Any], restore: Callable[[], None]
    ) -> None:
        import torch

        self._held = {name: tensor.clone() for name, tensor in inputs.items()}
        with torch.inference_mode():
            self._replay, self._tokens = (
                _graph_of(lambda: step(**self._held), restore)
                if next(iter(self._held.values())).is_cuda
                else _plain(step, self._held, restore)
            )
            restore()

    def __call__(self, **inputs: Any) -> Any:
        """The next tokens; their tensor is overwritten by the next call."""
        for name, tensor in inputs.items():
            self._held[name].copy_(tensor)
        self._replay()
        return self._tokens


def launched_as_one(run: Callable[[], None]) -> Callable[[], None]:
    """The same work as one launch on a CUDA device; elsewhere as it was, run once to warm up."""
    import torch

    run()
    if not torch.cuda.is_available():
        return run
    return _graph_of(run, _nothing)[0]


def check_capturable(cache: Any) -> None:
    """Only a full-attention layer of fixed size keeps its length on the device.

    Raises:
        UsageError: the cache has other layers, such as sliding windows.
    """
    other = next((layer for layer in cache.layers if not is_static(layer)), None)
    if other is not None:
        raise UsageError(
            f"steps over a cache with {type(other).__name__} are not captured",
            hint="leave --graphs off for this model",
        )


def _graph_of(
    work: Callable[[], Any], restore: Callable[[], None]
) -> tuple[Callable[[], None], Any]:
    """(What replays the captured work, its result), tried beforehand on a stream of its own."""
    import torch

    here: Any = torch.cuda.current_stream()
    aside: Any = torch.cuda.Stream()  # type: ignore[no-untyped-call]
    aside.wait_stream(here)
    with torch.cuda.stream(aside):
        for _ in range(_WARM_UPS):
            restore()
            work()
    here.wait_stream(aside)
    restore()
    graph = torch.cuda.CUDAGraph()
    # Other threads, such as the sampler's, may ask the driver something meanwhile.
    with torch.cuda.graph(graph, capture_error_mode="thread_local"):
        result = work()
    return graph.replay, result


def _nothing() -> None:
    """What is set back where nothing changed."""


def _plain(
    step: Callable[..., Any], held: Mapping[str, Any], restore: Callable[[], None]
) -> tuple[Callable[[], None], Any]:
    restore()
    tokens = step(**held)

    def replay() -> None:
        tokens.copy_(step(**held))

    return replay, tokens


def compile_blocks(model: Any, *, backend: str = "inductor") -> None:
    """Fuse what a decoder block does between its matrix products, by torch.compile.

    A block is what the model itself says must not be split over devices. Each is traced by itself,
    since it knows its place in the cache; the kernels of the first are found again by all others.

    Raises:
        UsageError: the model does not say which its blocks are.
    """
    names = set(getattr(model, "_no_split_modules", None) or ())
    blocks = [module for module in model.modules() if type(module).__name__ in names]
    if not blocks:
        raise UsageError(
            "this model does not say which its blocks are, so they are not compiled",
            hint="--graphs captured does without",
        )
    import torch

    config: Any = torch._dynamo.config  # noqa: SLF001 - where torch keeps it
    # Else it gives up after eight blocks and runs the others as they were.
    config.recompile_limit = max(config.recompile_limit, _WAYS * len(blocks))
    for block in blocks:
        block.compile(dynamic=False, backend=backend)


def untouched(model: Any) -> AbstractContextManager[Any]:
    """While it is open, what was compiled runs as it was: a single look is not worth compiling."""
    import torch

    if all(module._compiled_call_impl is None for module in model.modules()):  # noqa: SLF001
        return nullcontext()
    eager: AbstractContextManager[Any] = torch.compiler.set_stance("force_eager")
    return eager
