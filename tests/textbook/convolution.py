"""Cross-correlation and pooling by loops, and a kernel learnt from data."""

import torch


def corr2d(X, K):
    h, w = K.shape
    Y = torch.zeros((X.shape[0] - h + 1, X.shape[1] - w + 1))
    for i in range(Y.shape[0]):
        for j in range(Y.shape[1]):
            Y[i, j] = (X[i : i + h, j : j + w] * K).sum()
    return Y


def pool2d(X, size, mode="max"):
    h, w = size
    Y = torch.zeros((X.shape[0] - h + 1, X.shape[1] - w + 1))
    for i in range(Y.shape[0]):
        for j in range(Y.shape[1]):
            window = X[i : i + h, j : j + w]
            Y[i, j] = window.max() if mode == "max" else window.mean()
    return Y


X = torch.tensor([[0.0, 1.0, 2.0], [3.0, 4.0, 5.0], [6.0, 7.0, 8.0]])
K = torch.tensor([[0.0, 1.0], [2.0, 3.0]])
print(corr2d(X, K), pool2d(X, (2, 2)), pool2d(X, (2, 2), "avg"))
image = torch.ones((4, 6))
image[:, 2:5] = 0
edge = torch.tensor([[1.0, -1.0]])
target = corr2d(image, edge)
print(target, corr2d(image.t(), edge).shape)
k = torch.zeros(1, 2, requires_grad=True)
for i in range(8):
    out = k[0, 0] * image[:, :-1] + k[0, 1] * image[:, 1:]
    loss = ((out - target) ** 2).sum()
    loss.backward()
    k.data[:] -= 0.03 * k.grad
    k.grad.zero_()
print(k.data.reshape((1, 2)), f"{loss.sum():.3f}")
channels = torch.stack((X, X + 1), 0)
kernels = torch.stack((K, K + 1), 0)
print(sum(corr2d(x, k) for x, k in zip(channels, kernels)))
many = torch.stack([kernels, kernels + 1], 0)
print(torch.stack([sum(corr2d(x, k) for x, k in zip(channels, ks)) for ks in many], 0).shape)
one = torch.matmul(torch.arange(4.0).reshape(2, 2), channels.reshape((2, 9))).reshape((2, 3, 3))
print(one[1], torch.cat((channels, channels + 1), 1).shape, (1, 1) + X.shape)
