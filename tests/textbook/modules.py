"""Custom layers and blocks, their parameters and their text."""

import torch
from torch import nn
from torch.nn import functional as F


class Centered(nn.Module):
    """A layer without parameters."""

    def forward(self, X):
        return X - X.mean()


class Weighted(nn.Module):
    """A layer with parameters of its own."""

    def __init__(self, inputs, units):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(inputs, units) / 2)
        self.bias = nn.Parameter(torch.zeros(units))

    def forward(self, X):
        return F.relu(torch.matmul(X, self.weight.data) + self.bias.data)


class Chain(nn.Module):
    """Modules in a row."""

    def __init__(self, *parts):
        super().__init__()
        for i, part in enumerate(parts):
            self._modules[str(i)] = part

    def forward(self, X):
        for part in self._modules.values():
            X = part(X)
        return X


class Repeated(nn.Module):
    """Control flow, a constant weight and a layer used twice."""

    def __init__(self):
        super().__init__()
        self.fixed = torch.ones((3, 3)) * 0.1
        self.linear = nn.Linear(3, 3)

    def forward(self, X):
        X = F.relu(torch.mm(self.linear(X), self.fixed) + 1)
        X = self.linear(X)
        while X.abs().sum() > 1:
            X /= 2
        return X.sum()


def set_constant(m):
    if type(m) is nn.Linear:
        m.weight.data[:] = 0.25
        m.bias.data.fill_(0.5)


X = torch.arange(6.0).reshape(2, 3)
print(Centered()(X), Weighted(3, 2)(X))
net = nn.Sequential(nn.Linear(3, 4), nn.ReLU(), nn.Linear(4, 1))
net.apply(set_constant)
print(net)
print(net(X).detach(), net[0].bias, net[2].bias.data, len(net), [type(m).__name__ for m in net])
print([(name, p.shape) for name, p in net.named_parameters()], list(net.state_dict()))
print(net.state_dict()["2.bias"], net[0].weight.grad is None, type(net[0].bias).__name__)
net(X).sum().backward()
print(net[2].weight.grad, net[0].bias.grad)
net.zero_grad()
print(net[0].weight.grad is None or net[0].weight.grad.sum() == 0)
chain = Chain(nn.Linear(3, 3), Centered())
chain.apply(set_constant)
print(chain(X).detach(), abs(float(chain(X).mean())) < 1e-6)
deep = Repeated()
deep.apply(set_constant)
print(deep(X).item())
outer = nn.Sequential()
for i in range(2):
    outer.add_module(f"block {i}", nn.Sequential(nn.Linear(3, 3), nn.ReLU()))
outer.apply(set_constant)
print(outer, outer[1][0].bias.data, outer(X).shape)
shared = nn.Linear(3, 3)
tied = nn.Sequential(shared, nn.ReLU(), shared)
tied[0].weight.data[0, 0] = 100
print((tied[0].weight.data[0] == tied[2].weight.data[0]).sum(), len(list(tied.parameters())), bool(net))
net.train()
print(net.training, net[0].training)
net.eval()
print(net.training, net[0]._parameters["bias"].shape, str(nn.Linear(2, 3, bias=False)))
net.training = True
print(net.training, net[0].bias.requires_grad)
clone = nn.Sequential(nn.Linear(3, 4), nn.ReLU(), nn.Linear(4, 1))
clone.load_state_dict(net.state_dict())
print((clone(X) == net(X)).sum(), clone.eval().training)
