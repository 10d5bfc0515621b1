"""Networks in training, whose gradients with and without checkpoints are compared: float64, tiny, with all that makes it hard."""

import numpy as np

import revdiff
from revdiff import nn


def mlp(**where):
    layers = []
    for i in range(4):
        layers += [nn.Linear(6 if i else 5, 6, **where), nn.Tanh() if i % 2 else nn.ReLU(inplace=i == 2)]
    return nn.Sequential(*layers, nn.Linear(6, 3, **where))


def conv(**where):
    """Batch statistics that move, masks that are drawn."""
    return nn.Sequential(
        nn.Conv2d(2, 3, 3, padding=1, **where),
        nn.BatchNorm2d(3, **where),
        nn.ReLU(),
        nn.Dropout(0.4),
        nn.Sequential(nn.Conv2d(3, 4, 3, **where), nn.MaxPool2d(2), nn.Dropout2d(0.3)),
        nn.Flatten(),
        nn.Linear(16, 3, **where),
    )


def transformer(**where):
    blocks = [nn.TransformerEncoderLayer(8, 2, 12, dropout=0.2, batch_first=True, **where) for _ in range(3)]
    return nn.Sequential(nn.Linear(4, 8, **where), *blocks, nn.LayerNorm(8, **where))


class Recurrent(nn.Module):
    """Its parts hand on tuples of tensors."""

    def __init__(self, inputs, **where):
        super().__init__()
        self.lstm = nn.LSTM(inputs, 4, num_layers=2, dropout=0.3, batch_first=True, **where)

    def forward(self, x):
        out, (h, c) = self.lstm(x[0] if isinstance(x, tuple) else x)
        return out, {"h": h, "c": c, "steps": out.shape[1]}


class Joined(nn.Module):
    def forward(self, parts):
        out, state = parts
        return out.sum(1) + state["h"].sum(0) * state["c"].mean(0) * state["steps"]


def recurrent(**where):
    return nn.Sequential(Recurrent(3, **where), Recurrent(4, **where), Joined())


NETWORKS = {
    "mlp": (mlp, (7, 5)),
    "conv": (conv, (5, 2, 6, 6)),
    "transformer": (transformer, (2, 5, 4)),
    "recurrent": (recurrent, (3, 4, 3)),
}


def made(name):
    """A network, the same each time, and an input."""
    build, shape = NETWORKS[name]
    revdiff.manual_seed(0)
    return build(dtype="float64"), np.random.default_rng(1).normal(size=shape)


def loss_of(out):
    return (out * out.detach().cos()).sum() + (out * out).sum()


def trained(name, call, *, steps=2):
    """Values and gradients of some steps, and the buffers in the end, with `call(net, x)` in the place of `net(x)`."""
    net, x = made(name)
    found = []
    for step in range(steps):
        revdiff.manual_seed(step)
        value, gradients = revdiff.value_and_grad(lambda net, x: loss_of(call(net, x)), (0, 1))(net, x)
        found += [value, *gradients[0].values(), gradients[1], revdiff.rand(2).numpy()]  # where random numbers go on matters too
    return found + [buffer.numpy() for buffer in net.buffers()]
