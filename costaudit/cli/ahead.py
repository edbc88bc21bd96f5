"""Loads the libraries of an audit while its recording is read."""

from __future__ import annotations

import os
from threading import Thread


def load_ahead(*, figures: bool = False) -> None:
    """Begin to load them, and with `figures` what draws charts, where there is a core for it.

    Reading a recording is SQLite's work, which holds no lock of Python's.
    """
    if (os.cpu_count() or 1) > 1:
        Thread(target=_load, args=(figures,), name="loads ahead").start()


def _load(figures: bool) -> None:
    import scipy.optimize  # noqa: F401

    from costaudit.whatif.serving import load_compiled

    load_compiled()
    if figures:
        from costaudit.report.figure import wake

        wake()
