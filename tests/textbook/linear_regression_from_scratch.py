"""A line through noisy points, by minibatch descent with updates written out."""

import random

import torch


def points(w, b, n):
    X = torch.normal(0, 1, (n, len(w)))
    y = torch.matmul(X, w) + b
    y += torch.normal(0, 0.01, y.shape)
    return X, y.reshape((-1, 1))


def batches(size, features, labels):
    order = list(range(len(features)))
    random.shuffle(order)
    for i in range(0, len(order), size):
        chosen = torch.tensor(order[i : min(i + size, len(order))])
        yield features[chosen], labels[chosen]


def descend(params, rate, size):
    with torch.no_grad():
        for param in params:
            param -= rate * param.grad / size
            param.grad.zero_()


torch.manual_seed(1)
random.seed(1)
true_w, true_b = torch.tensor([2, -3.4]), 4.2
features, labels = points(true_w, true_b, 400)
print(features.shape, labels.shape)
w = torch.normal(0, 0.01, size=(2, 1), requires_grad=True)
b = torch.zeros(1, requires_grad=True)
for epoch in range(4):
    for X, y in batches(10, features, labels):
        loss = (torch.matmul(X, w) + b - y.reshape((-1, 1))) ** 2 / 2
        loss.sum().backward()
        descend([w, b], 0.05, 10)
    with torch.no_grad():
        left = ((torch.matmul(features, w) + b - labels) ** 2 / 2).mean()
print("learned", float(left) < 1e-3, w.requires_grad, w.is_leaf)
print((true_w - w.reshape(true_w.shape)).abs().max() < 0.02, abs(float(true_b - b)) < 0.02)
