"""Whether anything beyond computing is going on in the process: an open ledger, anomaly detection, a change in place of a view.

All of these are rare, and dispatch asks for all of them at once with one look at `watch.count`. Reverse mode asks `watch.recording`
when it records, which counts the checkpointed segments under way as well: these do not concern operations that only compute.
"""

from __future__ import annotations

import threading


class Watch:
    """`count` of whatever is on. Zero means that an operation has only to compute, and its engine to follow.

    `recording` is the same, and the segments under way.
    """

    __slots__ = ("_lock", "count", "recording")

    def __init__(self) -> None:
        self.count = self.recording = 0
        self._lock = threading.Lock()

    def add(self, number: int) -> None:
        """One more is on (`1`), or one less (`-1`)."""
        with self._lock:
            self.count += number
            self.recording += number

    def add_segment(self, number: int) -> None:
        """One more segment is under way (`1`), or one less (`-1`)."""
        with self._lock:
            self.recording += number


watch = Watch()
