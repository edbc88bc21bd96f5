"""The real Prometheus of Debian or Ubuntu, unpacked without being root."""

from __future__ import annotations

import shutil
import tempfile
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from parts.cache import NotInstalledError, Part, Step, cache_folder, installed
from parts.running import Server, free_port, running

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

CONFIG = """\
global:
  scrape_interval: {interval_s}s
scrape_configs:
  - job_name: servers
    static_configs:
      - targets: [{targets}]
"""


def build(folder: Path, step: Step) -> None:
    """The lists of packages are read into the folder itself: that takes neither root nor locks."""
    if not shutil.which("apt-get"):
        raise NotInstalledError("there is no apt-get here to fetch Debian's package")
    state = folder / "apt"
    (state / "lists/partial").mkdir(parents=True)
    (state / "cache/archives/partial").mkdir(parents=True)
    here = ("-o", f"Dir::State::lists={state}/lists", "-o", f"Dir::Cache={state}/cache")
    sandbox = ("-o", "APT::Sandbox::User=")  # else root's apt wants a folder that _apt may enter
    step.run("apt-get", *here, *sandbox, "update", cwd=folder)
    step.run("apt-get", *here, *sandbox, "download", "prometheus", cwd=folder)
    shutil.rmtree(state)
    step.run("dpkg-deb", "-x", next(folder.glob("prometheus_*.deb")), folder)
    step.run(folder / "usr/bin/prometheus", "--version")


PART = Part(name="prometheus", key=("debian",), build=build)


def promtool() -> Path:
    """The `promtool` program: checks rules, and formats of metrics on standard input."""
    return installed(PART) / "usr/bin/promtool"


@contextmanager
def serve(
    *flags: str,
    targets: Sequence[str] = (),
    interval_s: float = 1,
    port: int | None = None,
    data: Path | None = None,
) -> Iterator[Server]:
    """Prometheus scraping `/metrics` of `targets` (host:port) each `interval_s`; ready at once.

    `data`: a folder that holds blocks of the past; it is left as it is found, with what was added.
    """
    program, port = installed(PART) / "usr/bin/prometheus", port or free_port()
    scratch = Path(tempfile.mkdtemp(prefix="prometheus-", dir=cache_folder()))
    config = scratch / "prometheus.yml"
    quoted = ", ".join(f"'{target}'" for target in targets)
    config.write_text(CONFIG.format(interval_s=interval_s, targets=quoted))
    try:
        with running(
            "prometheus",
            [
                *(
                    program,
                    f"--config.file={config}",
                    f"--storage.tsdb.path={data or scratch / 'data'}",
                ),
                *(f"--web.listen-address=127.0.0.1:{port}", *flags),
            ],
            port=port,
            ready_path="/-/ready",
            metrics_url=f"http://127.0.0.1:{port}/metrics",
        ) as server:
            yield server
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
