"""One small problem that optimizers of both engines and of PyTorch solve side by side."""

from typing import Any

import numpy as np

_RNG = np.random.default_rng(12)
X, Y = _RNG.normal(size=(12, 3)), _RNG.integers(2, size=12)
START = {
    "0.weight": _RNG.normal(size=(2, 3)),
    "0.bias": _RNG.normal(size=2),
    "2.weight": _RNG.normal(size=(2, 2)),
    "2.bias": _RNG.normal(size=2),
}
"""Where every run starts, so that no run depends on how a library draws."""

def groups(net: Any, options: dict[str, Any]) -> list[dict[str, Any]]:
    """Two groups: the biases at half the rate, and without decay."""
    own = {name: 0.0 for name in ("weight_decay",) if name in options}
    rate = {"lr": options["lr"] / 2} if "lr" in options else {}
    return [{"params": [net[0].weight, net[2].weight]}, {"params": [net[0].bias, net[2].bias], **own, **rate}]


def parameters(net: Any) -> dict[str, np.ndarray]:
    return {name: value.detach().numpy().copy() for name, value in net.named_parameters()}


class Run:
    """A net of `library` (an engine, or torch), its optimizer in two groups and a schedule that shrinks the rates every step."""

    def __init__(self, library: Any, name: str, options: dict[str, Any], dtype: Any, device: str = "cpu", decay: float = 0.99) -> None:
        self.library = library
        options = {key: tuple(value) if isinstance(value, list) else value for key, value in options.items()}  # JSON has no tuples
        self.net = library.nn.Sequential(
            library.nn.Linear(3, 2, dtype=dtype, device=device), library.nn.Tanh(), library.nn.Linear(2, 2, dtype=dtype, device=device)
        )
        self.net.load_state_dict({key: library.tensor(value, dtype=dtype) for key, value in START.items()})
        self.x, self.y = library.tensor(X, dtype=dtype, device=device), library.tensor(Y, device=device)
        self.optimizer = getattr(library.optim, name)(groups(self.net, options), **options)
        self.scheduler = library.optim.lr_scheduler.ExponentialLR(self.optimizer, decay)

    def loss(self) -> Any:
        return self.library.nn.functional.cross_entropy(self.net(self.x), self.y)

    def steps(self, count: int) -> dict[str, np.ndarray]:
        for _ in range(count):
            self.optimizer.zero_grad()
            self.loss().backward()
            self.optimizer.step()
            self.scheduler.step()
        return parameters(self.net)
