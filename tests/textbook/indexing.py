"""Reading and writing parts of tensors."""

import torch

X = torch.arange(24.0).reshape(2, 3, 4)
print(X[0], X[-1, 1], X[1, 2, 3], X[:, 1:3, ::2], X[0, :, None].shape, X[..., 0])
print(X[torch.tensor([1, 0])][:, 0], X[0][X[0] > 5], X[0, [2, 0], 1], X[:, range(2), 0])
M = torch.zeros(3, 4)
M[1, 2] = 9
M[0:2, :] = M[0:2, :] + 12
M[:, 0] = torch.tensor([1.0, 2, 3])
M[M > 12] = -1
M[2] = torch.arange(4.0)
M[torch.tensor([0, 2]), torch.tensor([3, 3])] = torch.tensor([7.0, 8.0])
print(M)
M[0] += 1
M[:, 1] *= 10
print(M)
view = M[1]
view[:] = 5
print(M, M[1].sum())
for i, row in enumerate(M):
    print(i, row, len(row))
first, *rest = M
print(first[-1].item(), len(rest))
steps = torch.zeros(3, 2, dtype=torch.long)
steps[:, 1] = torch.arange(3)
print(steps, steps[-1], steps[0, 0] == 0)
names = ["zero", "one", "two"]
print([names[int(i)] for i in steps[:, 1]], names[steps[1, 1]])
mask = torch.arange(4)[None, :] < torch.tensor([1, 3])[:, None]
print(mask, ~mask, mask.sum(1))
scores = torch.ones(2, 4)
scores[~mask] = 0
print(scores)
