"""Descent on functions of two variables: plain, with momentum, with a scaled step, and by Newton's method in one."""

import math

import torch


def f(x1, x2):
    return 0.1 * x1**2 + 2 * x2**2


def descend(step, steps=12):
    x1, x2, s1, s2 = -5.0, -2.0, 0.0, 0.0
    for _ in range(steps):
        x1, x2, s1, s2 = step(x1, x2, s1, s2)
    return x1, x2


rate = 0.4
print([round(v, 4) for v in descend(lambda a, b, s, t: (a - rate * 0.2 * a, b - rate * 4 * b, 0, 0))])
x1, x2 = torch.meshgrid(torch.arange(-5.0, 1.0, 2.0), torch.arange(-3.0, 1.0, 2.0), indexing="ij")
print(f(x1, x2), torch.linspace(-1, 1, 3))
c = torch.tensor(0.5)
x = 10.0
for _ in range(6):
    x -= float(c * torch.sinh(c * x) / (c**2 * torch.cosh(c * x)))
print(f"{x:.4f}", torch.cosh(c * torch.tensor(x)))
X = torch.sin(torch.arange(30.0)).reshape(10, 3)
y = X @ torch.tensor([[1.0], [2.0], [3.0]])


def train(rule, state):
    w = torch.zeros((3, 1), requires_grad=True)
    for t in range(1, 21):
        loss = ((X @ w - y) ** 2).mean() / 2
        loss.backward()
        with torch.no_grad():
            rule(w, state, t)
        w.grad.data.zero_()
    return w.detach()


def momentum(w, s, t):
    s["v"][:] = 0.5 * s["v"] + w.grad
    w[:] -= 0.5 * s["v"]


def adagrad(w, s, t):
    s["v"][:] += torch.square(w.grad)
    w[:] -= 0.9 * w.grad / torch.sqrt(s["v"] + 1e-6)


def adam(w, s, t):
    s["m"][:] = 0.9 * s["m"] + 0.1 * w.grad
    s["v"][:] = 0.999 * s["v"] + 0.001 * torch.square(w.grad)
    w[:] -= 0.3 * (s["m"] / (1 - 0.9**t)) / (torch.sqrt(s["v"] / (1 - 0.999**t)) + 1e-6)


results = {}
for rule in (momentum, adagrad, adam):
    state = {"v": torch.zeros((3, 1)), "m": torch.zeros((3, 1))}
    results[rule.__name__] = train(rule, state)
    print(rule.__name__, f"{float(((X @ results[rule.__name__] - y) ** 2).mean()):.3f}")
print(math.isfinite(float(results["adam"].sum())))
