"""A Triton model's configuration → which tensors mean what, and how it batches."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from costaudit.record.dialects.triton_generate import Tensors
from costaudit.record.servers.family import exported, known
from costaudit.target.target import Origin, Value

if TYPE_CHECKING:
    from collections.abc import Mapping

# Names of inputs by meaning: those of the TensorRT-LLM and vLLM backends first, then usual ones.
_TEXT = ("text_input", "prompt", "text", "query", "input_text", "inputs", "INPUT_0", "QUERY")
_IDS = ("input_ids", "token_ids", "prompt_token_ids", "prompt_ids", "input_token_ids", "tokens")
_IDS_LENGTH = ("input_lengths", "input_length", "input_len")
_LIMIT = (
    "max_tokens",
    "request_output_len",
    "max_new_tokens",
    "max_output_tokens",
    "output_len",
    "num_tokens",
)
_LEAST = ("min_tokens", "min_length", "min_new_tokens")
_STREAM = ("stream", "streaming")
_IDS_OUT = ("output_ids", "token_ids", "output_token_ids", "token_id", "tokens")
_TOKENS_OUT = ("num_output_tokens", "completion_tokens", "output_tokens", "tokens_generated")
_PROMPT_OUT = ("num_input_tokens", "prompt_tokens", "input_tokens")
_WHOLE = {f"TYPE_{sign}INT{bits}" for sign in ("", "U") for bits in (8, 16, 32, 64)}


def tensors_of(config: Mapping[str, Any]) -> tuple[Tensors, tuple[str, ...]]:
    """The tensors of a model, and a note on what they do not allow."""
    inputs, outputs = _named(config, "input"), _named(config, "output")
    strings = {name for name, one in inputs.items() if one.get("data_type") == "TYPE_STRING"}
    whole = {name for name, one in inputs.items() if one.get("data_type") in _WHOLE}
    many = {name for name in whole if _is_list(inputs[name])}
    text = _first(_TEXT, strings) or _only(strings - {"sampling_parameters"})
    ids = _first(_IDS, many) or ("" if text else _only(many))
    limit = _first(_LIMIT, whole)
    sampling = "sampling_parameters" if "sampling_parameters" in strings else ""
    fixed: dict[str, Any] = {name: True for name in _STREAM if name in inputs}
    asked = {"return_num_output_tokens", "return_num_input_tokens", "return_finish_reason"}
    fixed |= dict.fromkeys(sorted(asked & inputs.keys()), True)
    if "end_id" in inputs and not sampling:
        fixed["end_id"] = -1  # no token: TensorRT-LLM then never ends early
    fixed |= {name: "" for name in ("bad_words", "stop_words") if _needed(inputs, name)}
    tensors = Tensors(
        text=text,
        ids=ids,
        ids_length=_first(_IDS_LENGTH, whole) if ids else "",
        limit="" if sampling else limit,
        least="" if sampling else _first(_LEAST, whole),
        sampling_json=sampling,
        fixed=fixed,
        text_out=_first(("text_output",), set(outputs)) or _only_string(outputs) or "text_output",
        ids_out=_first(_IDS_OUT, set(outputs)),
        tokens_out=_first(_TOKENS_OUT, set(outputs)),
        prompt_out=_first(_PROMPT_OUT, set(outputs)),
        finish_out=_first(("finish_reason",), set(outputs)),
    )
    return tensors, _missing(tensors, config)


def batching(config: Mapping[str, Any]) -> dict[str, Value]:
    """How the model batches; without a `dynamic_batching` stanza it does not."""
    why = "model configuration"
    dynamic = config.get("dynamic_batching")
    count = sum(
        one["count"]
        for one in _list(config.get("instance_group"))
        if isinstance(one.get("count"), int)
    )
    found = {
        "max_batch_size": exported(config.get("max_batch_size"), why),
        "max_num_seqs": exported(config.get("max_batch_size") or None, "max_batch_size"),
        "instances": exported(count or None, why),
        "dynamic_batching": Value(value=dynamic is not None, origin=Origin.EXPORTED, why=why),
        "decoupled": Value(value=_decoupled(config), origin=Origin.EXPORTED, why=why),
    }
    if isinstance(dynamic, dict):
        delay = dynamic.get("max_queue_delay_microseconds")
        sizes = dynamic.get("preferred_batch_size")
        if isinstance(delay, (int, float)):
            found["max_queue_delay_s"] = exported(delay / 1e6, why)
        if isinstance(sizes, list):
            found["preferred_batch_sizes"] = exported(" ".join(map(str, sizes)), why)
    return known(found)


def parameters(config: Mapping[str, Any]) -> dict[str, str]:
    """The `parameters` of the configuration as plain text."""
    given = config.get("parameters")
    if not isinstance(given, dict):
        return {}
    texts = {name: one.get("string_value") for name, one in given.items() if isinstance(one, dict)}
    return {name: text for name, text in texts.items() if isinstance(text, str) and text}


def _missing(tensors: Tensors, config: Mapping[str, Any]) -> tuple[str, ...]:
    notes = []
    if not tensors.text and not tensors.ids:
        notes.append("the model has no input for a text or for token ids that costaudit knows")
    if not tensors.limit and not tensors.sampling_json:
        notes.append("the model has no input that limits its output")
    if not _decoupled(config):
        notes.append("the model answers in one piece (not decoupled): TTFT and ITL cannot be told")
    if not (tensors.ids_out or tensors.tokens_out):
        notes.append("the model tells no token counts: they hang on one token per response")
    return tuple(notes)


def _decoupled(config: Mapping[str, Any]) -> bool:
    policy = config.get("model_transaction_policy")
    return isinstance(policy, dict) and policy.get("decoupled") is True


def _named(config: Mapping[str, Any], key: str) -> dict[str, dict[str, Any]]:
    return {str(one["name"]): one for one in _list(config.get(key)) if one.get("name")}


def _list(value: Any) -> list[dict[str, Any]]:
    return [one for one in value if isinstance(one, dict)] if isinstance(value, list) else []


def _is_list(tensor: Mapping[str, Any]) -> bool:
    dims = tensor.get("dims")
    return isinstance(dims, list) and any(str(size) == "-1" for size in dims)


def _needed(inputs: Mapping[str, Mapping[str, Any]], name: str) -> bool:
    return name in inputs and inputs[name].get("optional") is not True


def _first(names: tuple[str, ...], there: set[str]) -> str:
    return next((name for name in names if name in there), "")


def _only(names: set[str]) -> str:
    return next(iter(names)) if len(names) == 1 else ""


def _only_string(outputs: Mapping[str, Mapping[str, Any]]) -> str:
    return _only({name for name, one in outputs.items() if one.get("data_type") == "TYPE_STRING"})
