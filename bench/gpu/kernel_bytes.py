"""DRAM bytes of a run, kernel by kernel: what each reads and writes, but for what L2 still holds.

The product's formula counts weights and KV cache, which is nearly all that a decode step moves. A
prefill also moves activations of the same size; they depend on how the model's code is cut into
kernels, so they are counted by running that code. L2 is modelled as whole tensors, the one used
longest ago thrown out first; what is larger than L2 streams past it.
"""

from __future__ import annotations

import math
from collections import OrderedDict
from typing import TYPE_CHECKING, Any

import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

_GATHERS = {"embedding", "index_select", "index", "gather"}  # read as much as they give out
_SCATTERS = {"index_copy_", "index_put_", "_index_put_impl_", "scatter_"}  # write what is given
_NOTHING = {"empty", "empty_strided", "new_empty", "new_empty_strided", "empty_like"}
_OVERWRITES = {"copy_", "fill_", "zero_"}


class KernelBytes(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Counts while it is entered; `bytes` afterwards."""

    def __init__(self, l2_bytes: int) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self._l2_bytes = l2_bytes
        self._held: OrderedDict[int, tuple[int, bool]] = OrderedDict()  # place → bytes, written?
        self._in_l2 = 0
        self._moved = 0

    @property
    def bytes(self) -> int:
        """Moved so far, what is still to be written back included."""
        return self._moved + sum(size for size, written in self._held.values() if written)

    def __torch_dispatch__(
        self, func: Any, types: Any, args: Sequence[Any] = (), kwargs: Any = None
    ) -> Any:
        """Run an operator and count what it must move."""
        given = _tensors((args, kwargs))
        out = func(*args, **(kwargs or {}))
        name = func.overloadpacket.__name__
        if name not in _NOTHING and not _only_looks(func, given, out):
            self._count(name, given, _tensors(out))
        return out

    def _count(self, name: str, given: list[Any], made: list[Any]) -> None:
        if name in _GATHERS:
            read, written = made, made
        elif name in _SCATTERS:
            read = written = given[-1:]
        else:
            read, written = given[1:] if name in _OVERWRITES else given, made
        for tensor in read:
            self._touch(tensor, write=False)
        for tensor in written:
            self._touch(tensor, write=True)

    def _touch(self, tensor: Any, *, write: bool) -> None:
        size, place = distinct_bytes(tensor), tensor.data_ptr()
        before, written = self._held.pop(place, (0, False))
        self._in_l2 -= before
        if size > self._l2_bytes:
            self._moved += size
            return
        if not write and before < size:
            self._moved += size
        self._held[place] = max(size, before), write or written
        self._in_l2 += max(size, before)
        while self._in_l2 > self._l2_bytes:
            _, (held, dirty) = self._held.popitem(last=False)
            self._in_l2 -= held
            self._moved += held if dirty else 0


def distinct_bytes(tensor: Any) -> int:
    """Bytes behind a tensor, each once: what is expanded is not there several times."""
    sizes = zip(tensor.shape, tensor.stride(), strict=True)
    return math.prod(int(size) for size, stride in sizes if stride) * int(tensor.element_size())


def bytes_of(run: Callable[[], None], l2_bytes: int) -> int:
    """What a run of eager code moves."""
    counter = KernelBytes(l2_bytes)
    with counter:
        run()
    return counter.bytes


def _tensors(tree: Any) -> list[Any]:
    return [leaf for leaf in tree_leaves(tree) if isinstance(leaf, torch.Tensor)]


def _only_looks(func: Any, given: list[Any], out: Any) -> bool:
    """Is it a view, or a question about a tensor? Neither launches a kernel."""
    made = _tensors(out)
    if not made or func.is_view:
        return True
    changes = func._schema.is_mutable  # noqa: SLF001 - no other place tells
    places = {tensor.untyped_storage().data_ptr() for tensor in given if tensor.numel()}
    return not changes and all(t.untyped_storage().data_ptr() in places for t in made)
