"""The truth server as a fixture's helper: started on a free port, asked for its log."""

from __future__ import annotations

import json
import subprocess
import urllib.request
from contextlib import contextmanager


class Truth:
    def __init__(self, port):
        self.port = port
        self.url = f"http://127.0.0.1:{port}"

    def log(self):
        """(arrival, [send times]) of each request in ns, and whether its client went away."""
        entries = []
        for line in self._get("/__log").splitlines():
            words = line.split()
            gone = words[-1] == "x"
            times = [int(word) for word in (words[:-1] if gone else words)]
            entries.append((times[0], times[1:], gone))
        return entries

    def stats(self):
        return json.loads(self._get("/__stats"))

    def _get(self, path):
        with urllib.request.urlopen(self.url + path, timeout=10) as answer:  # noqa: S310
            return answer.read().decode()


@contextmanager
def serving(program, *options):
    with subprocess.Popen([program, *map(str, options)], stdout=subprocess.PIPE) as process:
        try:
            yield Truth(int(process.stdout.readline()))
        finally:
            process.kill()
