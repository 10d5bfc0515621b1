"""Classification from scratch: a softmax, cross-entropy by indexing, accuracy."""

import torch


def softmax(X):
    grown = torch.exp(X)
    return grown / grown.sum(1, keepdim=True)


def cross_entropy(y_hat, y):
    return -torch.log(y_hat[range(len(y_hat)), y])


def correct(y_hat, y):
    if len(y_hat.shape) > 1 and y_hat.shape[1] > 1:
        y_hat = y_hat.argmax(axis=1)
    hits = y_hat.type(y.dtype) == y
    return float(hits.type(y.dtype).sum())


y = torch.tensor([0, 2])
y_hat = torch.tensor([[0.1, 0.3, 0.6], [0.3, 0.2, 0.5]])
print(y_hat[[0, 1], y], cross_entropy(y_hat, y), correct(y_hat, y) / len(y))
X = torch.sin(torch.arange(60.0) * 7.3).reshape(20, 3)
labels = (X.argmax(axis=1) + 0).type(torch.int64)
print(labels, labels.dtype)
W = torch.zeros((3, 3), requires_grad=True)
b = torch.zeros(3, requires_grad=True)
for step in range(60):
    out = softmax(torch.matmul(X.reshape((-1, W.shape[0])), W) + b)
    loss = cross_entropy(out, labels)
    loss.mean().backward()
    with torch.no_grad():
        for param in (W, b):
            param -= 0.5 * param.grad
            param.grad.zero_()
    if step % 20 == 0:
        print(f"{step}: loss {float(loss.mean()):.4f}, accuracy {correct(out, labels) / labels.numel():.2f}")
print(softmax(torch.matmul(X[:2], W) + b).sum(1).detach(), correct(softmax(torch.matmul(X, W) + b), labels))
results = {"W": W.detach(), "b": b.detach()}
