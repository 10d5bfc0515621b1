"""Shapes: sizes as values, axes moved, added, repeated and joined."""

import torch

X = torch.arange(24).reshape(2, 3, 4)
print(X.shape, X.size(), X.size(1), X.shape[-1], len(X.shape), X.dim(), X.ndim, X.numel(), str(X.shape))
print(X.shape[1:], (7,) + X.shape, X.shape + (7,), list(X.shape), tuple(n * 2 for n in X.shape), torch.zeros(X.shape).shape)
rows, *others = X.shape
print(rows, others)
print(X.permute(2, 0, 1).shape, X.permute(0, 2, 1)[0], X.transpose(1, 2).shape, X[0].T, X[0].t().shape)
print(X.unsqueeze(0).shape, torch.unsqueeze(X, dim=-1).shape, X.unsqueeze(1).squeeze(1).shape, torch.ones(1, 2, 1).squeeze().shape)
print(torch.ones(2, 1).squeeze(dim=1), X.reshape(-1).shape, X.flatten(1).shape)
v = torch.tensor([1, 2])
print(v.repeat(2), v.repeat(2, 2), v.repeat((3, 1)), torch.repeat_interleave(v, 2), v.repeat_interleave(3))
print(torch.repeat_interleave(torch.tensor([[1, 2], [3, 4]]), repeats=2, dim=0))
g, h = torch.meshgrid(torch.arange(3), torch.arange(2), indexing="ij")
print(g, h)
print(torch.cat((X, X), dim=1).shape, torch.stack((X, X)).shape, X.reshape(2, 3, 2, 2).permute(0, 2, 1, 3).reshape(4, 3, 2).shape)
c = X.clone()
c[0, 0, 0] = 100
print(X[0, 0, 0].item(), c[0, 0, 0].item())
