"""The three functions that engines spell differently: one set a dialect."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

MICROS = 1_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Functions:
    """Functions of Ibis expressions, in one engine's dialect.

    `micros`: a timestamp as microseconds since 1970 UTC, integer; `is_object`: whether a text is
    one JSON object; `json_text`: the text at a path of keys within such a text, NULL if none;
    `digest`: something shorter than a text, equal where the text is, rarely elsewhere.
    """

    micros: Callable[[Any], Any]
    is_object: Callable[[Any], Any]
    json_text: Callable[[Any, tuple[str, ...]], Any]
    digest: Callable[[Any], Any]
    tells_zones: bool = True  # whether a timestamp's type says if it was written with a zone


def _builtin(name: str, returns: str, *arguments: tuple[str, Any]) -> Any:
    """Call a function that the engine has and Ibis has not."""
    import ibis

    def one(a: Any) -> Any: ...
    def two(a: Any, b: Any) -> Any: ...

    types = tuple(kind for kind, _ in arguments)
    stub = {1: one, 2: two}[len(types)]
    return ibis.udf.scalar.builtin(stub, name=name, signature=(types, returns))(
        *(value for _, value in arguments)
    )


def _duckdb_object(text: Any) -> Any:
    valid = _builtin("json_valid", "boolean", ("string", text))
    return valid & (text[0] == "{")


def _duckdb_json(text: Any, path: tuple[str, ...]) -> Any:
    where = "$" + "".join('."' + key.replace('"', '\\"') + '"' for key in path)
    return _builtin("json_extract_string", "string", ("string", text), ("string", where))


def _spark_object(text: Any) -> Any:
    return _builtin("json_object_keys", "array<string>", ("string", text)).notnull()


def _spark_json(text: Any, path: tuple[str, ...]) -> Any:
    where = "$" + "".join("['" + key.replace("'", "\\'") + "']" for key in path)
    return _builtin("get_json_object", "string", ("string", text), ("string", where))


def _no_json(*_: Any) -> Any:
    raise NotImplementedError("only engines that read files parse JSON")


DUCKDB = Functions(
    micros=lambda time: _builtin("epoch_us", "int64", ("timestamp", time)),
    is_object=_duckdb_object,
    json_text=_duckdb_json,
    digest=lambda text: _builtin("hash", "uint64", ("string", text)),
)
SPARK = Functions(
    micros=lambda time: _builtin("unix_micros", "int64", ("timestamp", time)),
    is_object=_spark_object,
    json_text=_spark_json,
    digest=lambda text: _builtin("xxhash64", "int64", ("string", text)),
    tells_zones=False,
)
PLAIN = Functions(
    micros=lambda time: (
        time.epoch_seconds().cast("int64") * MICROS + time.microsecond().cast("int64")
    ),
    is_object=_no_json,
    json_text=_no_json,
    digest=lambda text: text,
)
