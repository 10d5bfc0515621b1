"""Tensors: made, reshaped, computed with, compared, joined, changed in place, converted."""

import numpy as np
import torch

x = torch.arange(12)
print(x, x.shape, x.numel(), len(x), x.dtype)
X = x.reshape(3, 4)
print(X, X.reshape(-1, 2).shape, X.reshape((2, 6)).shape, X.reshape(X.shape).shape)
print(torch.zeros((2, 3)), torch.ones(2, 1, 2), torch.eye(2))
print(torch.tensor([[2, 1], [4, 3]]), torch.tensor([1.5, 2]), torch.tensor([True, False]), torch.tensor(3.25))
print(torch.zeros_like(X), torch.ones_like(X, dtype=torch.float32), torch.full((2,), 7.0))
print(torch.linspace(0, 1, 5), torch.arange(-1.0, 1.0, 0.5), torch.FloatTensor([1, 2]))

a, b = torch.tensor([1.0, 2, 4, 8]), torch.tensor([2.0, 2, 2, 2])
print(a + b, a - b, a * b, a / b, a**b, -a, 1 - a, 3 / a, 2 * a, 1 + a)
print(a == b, a != b, a < b, a > b, a >= b, ~(a > b), (a <= b).dtype)
print(torch.exp(b), torch.log(a), torch.sqrt(a), torch.square(a), torch.abs(-a), (-a).abs(), a.pow(2), torch.pow(2, a))
print(a.sum(), a.mean(), a.max(), a.min(), a.prod())

Y = torch.tensor([[2.0, 1, 4, 3], [1, 2, 3, 4], [4, 3, 2, 1]])
F = X.float()
print(torch.cat((F, Y), dim=0), torch.cat([F, Y], axis=1), torch.stack([F[0], Y[0]], 0), torch.stack((F[0], Y[0]), 1))
print(torch.arange(3).reshape(3, 1) + torch.arange(2).reshape(1, 2))

before = id(Y)
Y += F
print(id(Y) == before)
Z = torch.zeros_like(Y)
kept = Z
Z[:] = F + Y
print(kept)
Z *= 2
Z -= 1
Z /= 2
print(Z, kept is Z)
Z.fill_(3)
Z.sub_(torch.ones(4)).add_(1)
print(Z, Z.zero_().sum())

A = X.numpy()
B = torch.tensor(A)
shared = torch.from_numpy(np.ones(3))
print(type(A), type(B).__name__ == "Tensor", shared, torch.is_tensor(B), torch.is_tensor(A))
s = torch.tensor([3.5])
print(s, s.item(), float(s), int(s), bool(s), f"{s.item():.2f}", f"{torch.tensor(0.125):.3f}", str(torch.tensor(2)))
print(X.tolist(), X.type(torch.float32), a.type(torch.int32), a.long(), X.to(torch.float32), np.asarray(a), np.array([a, b]))
