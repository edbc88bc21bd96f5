"""The model that all checks share, loaded once, and the engines that drive it."""

from __future__ import annotations

import copy
import gc
import json
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

from costaudit.record.engines.low_bit import FORMATS, quantize_model
from costaudit.record.engines.open_local import open_local, wrap_model
from costaudit.record.options import AS_IT_COMES
from costaudit.record.peaks import measure_peaks

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from costaudit.record.engines.transformers_local import Ranges, TransformersEngine
    from costaudit.record.options import EngineSettings, ProfileOptions

GIB = 2**30
# The shape of Llama-3.1-8B (its published config.json), with room for the 32k prompt.
LLAMA_8B: Mapping[str, Any] = {
    "architectures": ["LlamaForCausalLM"], "model_type": "llama", "hidden_act": "silu",
    "hidden_size": 4096, "intermediate_size": 14336, "num_hidden_layers": 32,
    "num_attention_heads": 32, "num_key_value_heads": 8, "head_dim": 128, "vocab_size": 128256,
    "max_position_embeddings": 40960, "rms_norm_eps": 1e-5, "rope_theta": 500000.0,
    "tie_word_embeddings": False, "torch_dtype": "bfloat16",
}  # fmt: skip
# As many kinds of parts and hardly a weight: it shows that the checks work, and nothing else.
TINY: Mapping[str, Any] = {
    **LLAMA_8B, "hidden_size": 256, "intermediate_size": 512, "num_hidden_layers": 2,
    "num_attention_heads": 4, "num_key_value_heads": 2, "head_dim": 64, "vocab_size": 512,
    "max_position_embeddings": 2048,
}  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Sizes:
    """How large everything is: on the device as the issue says, or tiny for a rehearsal.

    Attributes:
        config: config.json of the model.
        dtype: of weights and cache.
        prompt, long_prompt, shared_prompt: tokens of the prompts.
        context: cached tokens of a decode step at batch 1.
        rows: at which quantized weights are judged; at `all_rows` they are timed.
        kv: rows and cached tokens at which an FP8 cache is judged.
        held_out: points that the ten probes have not seen, within `most_rows` and `most_tokens`.
        ramp_bytes: device memory in use at the top of the pressure ramp.
        text_tokens: length of the text whose perplexity is taken.
        span_s: of a timed piece where its length matters.
        replayed: (prompt, output) lengths of a static batch.
        repeats: of a timed step; the fastest counts.
    """

    config: Mapping[str, Any]
    dtype: str
    prompt: int
    long_prompt: int
    shared_prompt: int
    context: int
    rows: tuple[int, ...]
    all_rows: tuple[int, ...]
    kv: tuple[int, int]
    held_out: int
    most_rows: int
    most_tokens: int
    ramp_bytes: float
    text_tokens: int
    span_s: float
    replayed: tuple[tuple[int, int], ...]
    repeats: int
    traced_layers: int  # of the model that runs under Nsight Compute


FULL = Sizes(
    config=LLAMA_8B, dtype="bfloat16", prompt=4096, long_prompt=32_768, shared_prompt=2048,
    context=4096, rows=(1, 32, 256), all_rows=(1, 4, 16, 32, 64, 128, 256, 512), kv=(64, 4096),
    held_out=30, most_rows=32, most_tokens=2048, ramp_bytes=130 * GIB, text_tokens=2048,
    span_s=1.2, replayed=tuple((256 + 64 * n, 16 + 8 * n) for n in range(16)), repeats=5,
    traced_layers=8,
)  # fmt: skip
REHEARSED = Sizes(
    config=TINY, dtype="float32", prompt=64, long_prompt=128, shared_prompt=32, context=32,
    rows=(1, 4), all_rows=(1, 4), kv=(2, 32), held_out=3, most_rows=2, most_tokens=64,
    ramp_bytes=0.0, text_tokens=64, span_s=0.02, replayed=((8, 3), (4, 5)), repeats=1,
    traced_layers=1,
)  # fmt: skip


class Bed:
    """One model on one device; `device` is "cuda", or "cpu" for a rehearsal."""

    def __init__(self, sizes: Sizes, folder: Path, device: str) -> None:
        self.sizes, self.folder, self.device = sizes, folder, device

    @property
    def rehearsal(self) -> bool:
        """Nothing is measured of a GPU."""
        return self.device == "cpu"

    @cached_property
    def target(self) -> Path:
        """A model directory of the shape alone."""
        return written(self.folder / "llama-8b-shape", self.sizes.config)

    @cached_property
    def model(self) -> Any:
        """The model with random weights, on its device."""
        engine = open_local(
            str(self.target), device=self.device, dtype=self.sizes.dtype, dummy_weights=True
        )
        model = engine._model  # noqa: SLF001 - an engine keeps its model to itself
        engine.close()
        return model

    @contextmanager
    def engine(
        self,
        settings: EngineSettings = AS_IT_COMES,
        *,
        of: str = "",
        ranges: Ranges | None = None,
    ) -> Iterator[TransformersEngine]:
        """An engine over the model, or over a twin whose layers are in the format `of`."""
        engine = self.opened(settings, of=of, ranges=ranges)
        try:
            yield engine
        finally:
            engine.close()
            del engine
            self.free()

    def opener(self, options: ProfileOptions, ranges: Ranges | None) -> TransformersEngine:
        """What a recording or a verification opens instead of loading the model anew."""
        settings = options.settings
        form = settings.quantize if settings.quantize in FORMATS else ""
        return self.opened(replace(settings, quantize="none"), of=form, ranges=ranges)

    def opened(
        self, settings: EngineSettings, *, of: str = "", ranges: Ranges | None = None
    ) -> TransformersEngine:
        """An engine that has to be closed.

        What compiles, quantizes or pages does so on a twin: the model itself stays as it is.
        """
        apart = of or settings.graphs == "compiled" or settings.batching == "continuous"
        model = self.twin(of) if apart else self.model
        return wrap_model(
            model, name=self.target.name, weights="dummy", ranges=ranges, settings=settings
        )

    def twin(self, form: str = "") -> Any:
        """A copy that shares all tensors; its linear layers in `form`, where one is named."""
        shared = [*self.model.parameters(), *self.model.buffers()]
        made = copy.deepcopy(self.model, {id(tensor): tensor for tensor in shared})
        if form:
            quantize_model(made, form)
        return made

    @cached_property
    def peaks(self) -> Mapping[str, float]:
        """Measured FLOP/s and bytes/s of the device, for the dtype of the weights."""
        with self.engine() as engine:
            free = engine.memory_bytes()
            facts = measure_peaks(
                engine.timed,
                device=self.device,
                dtype=self.sizes.dtype,
                budget_s=self.sizes.span_s * 5,
                free_bytes=(64 << 20) if self.rehearsal else free[1] - free[0],
            )
        return {fact.name: float(str(fact.value)) for fact in facts}

    def free(self) -> None:
        """Give memory back that nobody holds any more."""
        gc.collect()
        if not self.rehearsal:
            import torch  # noqa: PLC0415 - late, as everywhere

            torch.cuda.empty_cache()


def written(folder: Path, config: Mapping[str, Any]) -> Path:
    """A model directory with nothing but its config.json."""
    folder.mkdir(exist_ok=True)
    (folder / "config.json").write_text(json.dumps(config), encoding="utf-8")
    return folder
