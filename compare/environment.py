"""The machine and the software that a measurement was made with, and the threads it is given."""

from __future__ import annotations

import importlib
import os
import platform
import sys
from collections.abc import Callable
from importlib import metadata

from compare.errors import one_line

THREAD_COUNT = 2
"""Threads that numpy's BLAS and XLA are given, on every machine, so that reports can be held against each other."""

THREADS = {
    name: str(THREAD_COUNT)
    for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "BLIS_NUM_THREADS", "VECLIB_MAXIMUM_THREADS", "NPROC")
}
"""Environment variables that set the threads; they count only when set before the library is loaded. `NPROC` is XLA's."""

GIBIBYTE = 2**30
SHARE = 0.8
"""Of the memory there is, what arrays may take: the rest is for the interpreter, libraries, and what they allocate themselves."""


def describe(*, heavy: bool, backend: str = "numpy") -> dict[str, str]:
    """Name and value of what there is, in the order to be shown.

    `heavy` loads jax and torch to list their devices, which takes seconds; otherwise only their versions are looked up, and jax's
    devices where `backend` is `"jax"`. Holds no path and no name of the machine or its user.
    """
    entries = {
        "diffmodes": version(),
        "python": f"{platform.python_implementation()} {platform.python_version()}",
        "numpy": _version("numpy") or "absent",
        "BLAS": _guarded(_blas),
        "jax": _version("jax") or "absent",
    }
    if entries["jax"] != "absent" and (heavy or backend == "jax"):
        entries["jax devices"] = _guarded(_jax_devices)
    entries["torch"] = _version("torch") or "absent"
    if entries["torch"] != "absent" and heavy:
        entries["torch devices"] = _guarded(_torch_devices)
    entries |= {
        "system": f"{platform.system()} {platform.release()} ({platform.machine()})",
        "processor": _processor(),
        "cores": _cores(),
        "memory": _guarded(_memory),
        "threads": ", ".join(f"{name}={os.environ.get(name, 'unset')}" for name in THREADS if name != "NPROC" or name in os.environ),
    }
    return entries


def version() -> str:
    """The version of this program, installed or not."""
    return _version("diffmodes") or str(importlib.import_module("diffcore").__version__)


def limit_threads() -> None:
    """Give this process the threads that the workers get. Call it before numpy is loaded."""
    os.environ.update(THREADS)


def _version(distribution: str) -> str | None:
    try:
        return metadata.version(distribution)
    except metadata.PackageNotFoundError:
        return None


def _guarded(look: Callable[[], str]) -> str:
    """What `look` finds, or in a word why it cannot; a description never fails."""
    try:
        return look()
    except Exception as error:  # a library that is there but broken is something to be told, not to end on
        return one_line(f"unavailable ({type(error).__name__}: {error})")[:200]


def _blas() -> str:
    import numpy as np

    blas = np.show_config(mode="dicts")["Build Dependencies"]["blas"]
    return f"{blas['name']} {blas['version']}"


def _jax_devices() -> str:
    jax = importlib.import_module("jax")
    return ", ".join(f"{device.platform}:{device.id} {device.device_kind}" for device in jax.devices())


def _torch_devices() -> str:
    torch = importlib.import_module("torch")
    return ", ".join(["cpu", *(torch.cuda.get_device_name(index) for index in range(torch.cuda.device_count()))])


def _processor() -> str:
    try:
        with open("/proc/cpuinfo", encoding="utf-8", errors="replace") as lines:
            for line in lines:
                key, _, value = line.partition(":")
                if key.strip() in ("model name", "Model"):
                    return value.strip()
    except OSError:  # not Linux
        pass
    return platform.processor() or platform.machine() or "unknown"


def usable_cores() -> int:
    """Cores that this process may use."""
    return len(os.sched_getaffinity(0)) if sys.platform == "linux" else os.cpu_count() or 1


def _cores() -> str:
    return f"{usable_cores()} usable of {os.cpu_count()}"


def available_memory() -> int | None:
    """Bytes that can be allocated without swapping, or None where the system does not tell (it does on Linux)."""
    try:
        with open("/proc/meminfo", encoding="ascii") as lines:
            return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("MemAvailable:"))
    except (OSError, StopIteration, ValueError, IndexError):
        return None


def _memory() -> str:
    return f"{os.sysconf('SC_PAGE_SIZE') * os.sysconf('SC_PHYS_PAGES') / GIBIBYTE:.1f} GiB"
