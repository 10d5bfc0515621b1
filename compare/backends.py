"""What the array backends need of a training step: how it is compiled, waited for and weighed."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from typing import Any, Protocol

from diffcore.arrays import random

Step = Callable[[Any, Any], Any]
"""`(images, labels) -> loss`: one training step of a network and its optimizer, which it changes."""


class Backend(Protocol):
    """An array backend as a training step sees it; `weighed_by` names the source of truth (see `compare.truth`) of its memory."""

    device: str
    weighed_by: str

    def use(self, dtype: str) -> None:
        """Be ready to compute in `dtype` from now on."""
        ...

    def compiled(self, step: Step, net: Any, optimizer: Any) -> Step:
        """`step` in the form in which this backend runs best; `net` and `optimizer` are what it changes."""
        ...

    def wait(self, net: Any) -> None:
        """Return when the parameters of `net` are computed."""
        ...


class Numpy:
    """Computes at once; what numpy allocates is seen by `tracemalloc`."""

    device = "cpu"
    weighed_by = "tracemalloc"

    def use(self, dtype: str) -> None:
        """Always ready."""

    def compiled(self, step: Step, net: Any, optimizer: Any) -> Step:
        """The step as it is."""
        return step

    def wait(self, net: Any) -> None:
        """Nothing to wait for."""


class Jax:
    """Compiled by XLA, the optimizer's update included; XLA says itself what memory its program takes."""

    device = "jax"
    weighed_by = "XLA memory"

    def use(self, dtype: str) -> None:
        """jax makes float64 arrays only when told to."""
        import jax

        jax.config.update("jax_enable_x64", dtype == "float64")

    def compiled(self, step: Step, net: Any, optimizer: Any) -> Step:
        """The step under `jax.jit`."""
        return _Compiled(step, net, optimizer)

    def wait(self, net: Any) -> None:
        """Wait for the device."""
        import jax

        jax.block_until_ready(_arrays(net))


class _Compiled:
    """A step under `jax.jit`. The step changes its network, its optimizer and where random numbers stand; the compiled function is given
    what they hold, and returns it.

    Learning rates are given too, so that a schedule's take effect; other options of the optimizer are compiled in, anew when they change.
    """

    def __init__(self, step: Step, net: Any, optimizer: Any) -> None:
        import jax

        self._step, self._net, self._optimizer = step, net, optimizer
        self._key = random.new_key()
        self._jitted: Any = jax.jit(self._pure, static_argnums=0)

    def __call__(self, images: Any, labels: Any) -> Any:
        held = self._held()
        try:
            loss, held = self._jitted(self._optimizer.fixed(), self._optimizer.rates, held, images, labels)
        finally:
            self._hold(held)  # where the step was traced, or failed, tracers are in their places
        return loss

    def _pure(self, _: Hashable, rates: Any, held: Any, images: Any, labels: Any) -> Any:
        self._hold(held)
        with random.keyed(self._key) as stream, self._optimizer.at(rates):
            loss = self._step(images, labels)
        self._key = stream.key
        return loss, self._held()

    def _held(self) -> Any:
        return _arrays(self._net), self._optimizer.held(), self._key

    def _hold(self, held: Any) -> None:
        arrays, state, self._key = held
        for tensor, array in zip(_tensors(self._net), arrays, strict=True):
            tensor.data = array
        self._optimizer.hold(state)

    def lowered(self, images: Any, labels: Any) -> Any:
        """The step as it is handed to XLA, a `jax.stages.Lowered`."""
        held = self._held()
        try:
            given = self._optimizer.fixed(), self._optimizer.rates, held
            return self._jitted.lower(*given, images, labels)
        finally:
            self._hold(held)


def _tensors(net: Any) -> list[Any]:
    """The parameters and buffers."""
    return [*net.parameters(), *net.buffers()]


def _arrays(net: Any) -> list[Any]:
    return [tensor.array for tensor in _tensors(net)]


BACKENDS: dict[str, Backend] = {"numpy": Numpy(), "jax": Jax()}
"""Every backend, by name."""
