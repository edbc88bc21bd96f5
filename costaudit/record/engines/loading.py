"""A model directory → a model object of transformers; every failure becomes one sentence."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from costaudit.ground.errors import CostauditError, TargetError
from costaudit.record.engines.memory import memory_errors

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from costaudit.record.engines.model_source import Source

_CAUSAL = ("ForCausalLM", "LMHeadModel", "ForConditionalGeneration")
_TILE_ELEMENTS = (1 << 20) + 7  # odd, so that rows of a matrix do not repeat in step
_STD = 0.02  # the usual initializer_range: activations stay finite through any depth


def refuse_other_models(raw: Mapping[str, Any], name: str, *, trust_remote_code: bool) -> None:
    """Refuse what does not generate text token by token, or would run code of its own.

    Raises:
        TargetError: not a causal language model, an unknown architecture, or own code.
    """
    from transformers import CONFIG_MAPPING

    listed = raw.get("architectures")
    architectures = [str(a) for a in listed] if isinstance(listed, list) else []
    model_type = str(raw.get("model_type") or "")
    known = CONFIG_MAPPING[model_type] if model_type in CONFIG_MAPPING else None  # noqa: SIM401 lazy
    # Encoders carry the switch `is_decoder`, off unless config.json turns it on.
    switch = raw.get("is_decoder", getattr(known, "is_decoder", None))
    encoder = raw.get("is_encoder_decoder") is True or (not architectures and switch is False)
    if encoder or (architectures and not any(a.endswith(_CAUSAL) for a in architectures)):
        what = architectures[0] if architectures else model_type
        raise TargetError(
            f"{name} is not a causal language model ({what})",
            hint="costaudit audits models that generate text token by token",
        )
    if known is not None or trust_remote_code:
        return
    if raw.get("auto_map"):
        raise TargetError(
            f"{name} brings its own model code, which is not run unasked",
            hint="read the code, then add --trust-remote-code",
        )
    raise TargetError(
        f"transformers does not know the architecture of {name} (model_type {model_type!r})",
        hint="a newer transformers may know it: pip install -U transformers",
    )


def load_config(source: Source, *, trust_remote_code: bool) -> Any:
    """The configuration as transformers reads it.

    Raises:
        TargetError: transformers refuses it.
    """
    from transformers import AutoConfig

    with _one_sentence(source.name):
        return AutoConfig.from_pretrained(
            source.folder, trust_remote_code=trust_remote_code, local_files_only=True
        )


def trained_model(
    source: Source, config: Any, dtype: str, place: Any, *, trust_remote_code: bool
) -> Any:
    """The model with the weights of its directory, safetensors only.

    Raises:
        TargetError: the weights do not fit the architecture or the memory.
    """
    from transformers import AutoModelForCausalLM

    with _one_sentence(source.name), memory_errors(f"the weights of {source.name}"):
        model, info = AutoModelForCausalLM.from_pretrained(
            source.folder,
            config=config,
            dtype=dtype,
            use_safetensors=True,
            trust_remote_code=trust_remote_code,
            local_files_only=True,
            output_loading_info=True,
        )
        missing = sorted(info["missing_keys"])
        if missing:
            raise TargetError(
                f"{source.name} lacks {len(missing)} weights, {missing[0]} among them",
                hint="download the model again",
            )
        return model.to(place)


def dummy_model(
    source: Source, config: Any, dtype: str, place: Any, *, trust_remote_code: bool
) -> Any:
    """The architecture alone, with cheap random weights written on the device itself.

    Raises:
        TargetError: transformers cannot build it, or it does not fit the memory.
    """
    import torch
    from transformers import AutoModelForCausalLM
    from transformers.initialization import no_init_weights

    with _one_sentence(source.name), memory_errors(f"the weights of {source.name}"):
        with torch.device(place), no_init_weights():
            model = AutoModelForCausalLM.from_config(
                config, dtype=getattr(torch, dtype), trust_remote_code=trust_remote_code
            )
        model.tie_weights()
        _fill(model)
        return model


def _fill(model: Any) -> None:
    """Matrices get tiles of one block of normal numbers, norms 1, biases 0.

    Never zeros: hardware multiplies them faster than real weights.
    """
    import torch

    with torch.no_grad():
        tile = torch.empty(_TILE_ELEMENTS, device=model.device).normal_(0, _STD)
        for name, weight in model.named_parameters():
            if weight.ndim < 2:  # noqa: PLR2004 a vector
                weight.fill_(0.0 if name.endswith("bias") else 1.0)
                continue
            flat = weight.view(-1)
            for start in range(0, flat.numel(), _TILE_ELEMENTS):
                part = flat[start : start + _TILE_ELEMENTS]
                part.copy_(tile[: part.numel()])


@contextmanager
def quiet() -> Iterator[None]:
    """Keep transformers from printing for a while."""
    from transformers.utils import logging

    verbosity, bars = logging.get_verbosity(), logging.is_progress_bar_enabled()
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    try:
        yield
    finally:
        logging.set_verbosity(verbosity)
        if bars:
            logging.enable_progress_bar()


@contextmanager
def _one_sentence(name: str) -> Iterator[None]:
    """Turn whatever transformers raises into a TargetError, and let it print nothing."""
    try:
        with quiet():
            yield
    except (CostauditError, MemoryError):
        raise
    except Exception as err:
        first = next((line for line in str(err).splitlines() if line.strip()), type(err).__name__)
        raise TargetError(
            f"transformers cannot load {name}: {first.strip()[:200]}",
            hint="compare its files with the published ones, or update transformers",
        ) from err
