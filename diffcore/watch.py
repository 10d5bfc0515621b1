"""Whether anything beyond computing is going on in the process: an open ledger, anomaly detection, a change in place of a view.

All of these are rare, and dispatch asks for all of them at once with one look at `watch.count`.
"""

from __future__ import annotations

import threading


class Watch:
    """`count` of whatever is on. Zero means that an operation has only to compute, and its engine to follow."""

    __slots__ = ("_lock", "count")

    def __init__(self) -> None:
        self.count = 0
        self._lock = threading.Lock()

    def add(self, number: int) -> None:
        """One more is on (`1`), or one less (`-1`)."""
        with self._lock:
            self.count += number


watch = Watch()
