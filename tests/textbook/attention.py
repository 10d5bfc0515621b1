"""Masked attention, heads by transposed axes, and positions as sines and cosines."""

import math

import torch
from torch.nn import functional as F


def masked(X, lengths):
    positions = torch.arange(X.size(1), dtype=torch.float32)[None, :]
    keep = positions < lengths[:, None]
    X[~keep] = -1e6
    return X


def masked_softmax(X, lengths):
    shape = X.shape
    lengths = torch.repeat_interleave(lengths, shape[1]) if lengths.dim() == 1 else lengths.reshape(-1)
    X = masked(X.reshape(-1, shape[-1]), lengths)
    return F.softmax(X.reshape(shape), dim=-1)


print(masked_softmax(torch.ones(2, 2, 4), torch.tensor([2, 3])))
print(masked_softmax(torch.ones(2, 2, 4), torch.tensor([[1, 3], [2, 4]])).sum(-1))
queries = torch.sin(torch.arange(8.0)).reshape(2, 1, 4)
keys = torch.cos(torch.arange(80.0)).reshape(2, 10, 4)
values = torch.arange(40, dtype=torch.float32).reshape(1, 10, 4).repeat(2, 1, 1)
scores = torch.bmm(queries, keys.transpose(1, 2)) / math.sqrt(queries.shape[-1])
weights = masked_softmax(scores, torch.tensor([2, 6]))
print(weights.shape, torch.bmm(weights, values).shape, (queries.unsqueeze(2) + keys.unsqueeze(1)).shape)
results = {"out": torch.bmm(weights, values)}


def split(X, heads):
    X = X.reshape(X.shape[0], X.shape[1], heads, -1)
    X = X.permute(0, 2, 1, 3)
    return X.reshape(-1, X.shape[2], X.shape[3])


def join(X, heads):
    X = X.reshape(-1, heads, X.shape[1], X.shape[2])
    return X.permute(0, 2, 1, 3).reshape(X.shape[0], X.shape[2], -1)


print(split(values, 2).shape, (join(split(values, 2), 2) == values).sum())
P = torch.zeros((1, 6, 8))
angle = torch.arange(6, dtype=torch.float32).reshape(-1, 1) / torch.pow(10000, torch.arange(0, 8, 2, dtype=torch.float32) / 8)
P[:, :, 0::2] = torch.sin(angle)
P[:, :, 1::2] = torch.cos(angle)
print(P[0, 1], P.squeeze(0).unsqueeze(0).shape)
x = torch.sort(torch.tensor([0.4, 0.1, 0.3]))[0]
diff = x.repeat_interleave(3).reshape((-1, 3)) - x
print(F.softmax(-(diff**2) / 2, dim=1), torch.matmul(torch.eye(3), x))
state = [torch.ones(2, dtype=torch.bool), torch.zeros(2, dtype=torch.int32)]
print(state[0].sum(), state[1].to(torch.float32), torch.tensor([3, 1])[:, None] == torch.arange(4, dtype=torch.int32))
