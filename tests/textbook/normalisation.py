"""Batch normalisation written out, with running statistics as state."""

import torch
from torch import nn


def normalised(X, gamma, beta, mean, var, eps, momentum):
    if not torch.is_grad_enabled():
        X_hat = (X - mean) / torch.sqrt(var + eps)
    else:
        if len(X.shape) == 2:
            m = X.mean(dim=0)
            v = ((X - m) ** 2).mean(dim=0)
        else:
            m = X.mean(dim=(0, 2, 3), keepdim=True)
            v = ((X - m) ** 2).mean(dim=(0, 2, 3), keepdim=True)
        X_hat = (X - m) / torch.sqrt(v + eps)
        mean = momentum * mean + (1.0 - momentum) * m
        var = momentum * var + (1.0 - momentum) * v
    return gamma * X_hat + beta, mean.data, var.data


class Norm(nn.Module):
    def __init__(self, n, axes):
        super().__init__()
        shape = (1, n) if axes == 2 else (1, n, 1, 1)
        self.gamma = nn.Parameter(torch.ones(shape))
        self.beta = nn.Parameter(torch.zeros(shape))
        self.mean, self.var = torch.zeros(shape), torch.ones(shape)

    def forward(self, X):
        if self.mean.device != X.device:
            self.mean = self.mean.to(X.device)
            self.var = self.var.to(X.device)
        Y, self.mean, self.var = normalised(X, self.gamma, self.beta, self.mean, self.var, eps=1e-5, momentum=0.9)
        return Y


X = torch.sin(torch.arange(24.0)).reshape(3, 2, 2, 2)
layer = Norm(2, 4)
out = layer(X)
print(out.mean().abs() < 1e-5, layer.mean.reshape((-1,)), layer.var.reshape((-1,)), layer.gamma.reshape((-1,)).detach())
(out**3).sum().backward()
print(layer.beta.grad.reshape(-1))
with torch.no_grad():
    print(layer(X).shape, layer(X).requires_grad)
flat = Norm(8, 2)
print(flat(X.reshape(3, 8)).detach().mean(0).abs().max() < 1e-5)
results = {"out": out.detach(), "var": layer.var, "grad": layer.gamma.grad}
