"""A hidden layer, weight decay and dropout written out."""

import torch
from torch import nn


def relu(X):
    return torch.max(X, torch.zeros_like(X))


def dropped(X, p):
    if p == 1:
        return torch.zeros_like(X)
    if p == 0:
        return X
    mask = (torch.rand(X.shape) > p).float()
    return mask * X / (1.0 - p)


X = torch.cos(torch.arange(40.0)).reshape(10, 4)
y = torch.sum(X**2, dim=1, keepdim=True)
W1 = nn.Parameter(torch.sin(torch.arange(20.0)).reshape(4, 5) * 0.5)
b1 = nn.Parameter(torch.zeros(5))
W2 = nn.Parameter(torch.cos(torch.arange(5.0)).reshape(5, 1) * 0.5)
params = [W1, b1, W2]
updater = torch.optim.SGD(params, lr=0.05, momentum=0.9)
for step in range(30):
    hidden = relu(X @ W1 + b1)
    loss = ((hidden @ W2 - y) ** 2).mean() + 1e-3 * torch.sum(W1.pow(2)) / 2 + 1e-3 * W2.abs().sum()
    updater.zero_grad()
    loss.backward()
    updater.step()
    if step % 10 == 0:
        print(f"{step} {loss.item():.3f}")
results = {"W1": W1.detach(), "b1": b1.detach(), "W2": W2.detach()}
grouped = torch.optim.SGD([{"params": [W1, W2], "weight_decay": 0.1}, {"params": [b1]}], lr=0.1)
print([float(group["weight_decay"]) for group in grouped.param_groups], isinstance(grouped, torch.optim.Optimizer))
print(dropped(X, 0.0) is X, dropped(X, 1.0).sum(), dropped(torch.ones(1000), 0.5).max(), dropped(X, 0.5).shape)
print(torch.norm(W1).item() > 0, b1.grad.shape)
