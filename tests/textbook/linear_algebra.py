"""Scalars, vectors, matrices; reductions, products and norms."""

import torch

x, y = torch.tensor(3.0), torch.tensor(2.0)
print(x + y, x * y, x / y, x**y)
A = torch.arange(6, dtype=torch.float32).reshape(2, 3)
B = A.clone()
print(A, A.T, A.T.shape, A + B, A * B, (A == B).sum())
S = torch.tensor([[1.0, 2], [2, 5]])
print(S == S.T, 2 + A, (2 * A).shape)
print(A.sum(), A.sum(dim=0), A.sum(axis=1), A.sum(axis=[0, 1]), torch.sum(A), A.sum(1, keepdim=True))
print(A.mean(), A.sum() / A.numel(), A.mean(axis=0), A.mean(dim=(0, 1)), A / A.sum(axis=1, keepdims=True))
print(A.cumsum(axis=0), A.cumsum(dim=1), A.max(), A.argmax(), A.argmax(dim=1))
u, v = torch.arange(3.0), torch.ones(3)
print(torch.dot(u, v), torch.sum(u * v), torch.mv(A, u), A @ u, torch.mm(A, B.T), torch.matmul(A, B.T), A @ B.t())
w = torch.tensor([3.0, -4.0])
print(torch.norm(w), torch.abs(w).sum(), w.norm(), torch.norm(torch.ones((4, 9))), w.abs().max())
C = torch.arange(12.0).reshape(2, 2, 3)
print(torch.bmm(C, C.permute(0, 2, 1)), torch.matmul(C, torch.ones(3, 1)).shape)
values, positions = torch.sort(torch.tensor([3.0, 1.0, 2.0]))
print(values, positions, torch.max(torch.tensor([1.0, 5.0]), torch.tensor([3.0, 2.0])))
