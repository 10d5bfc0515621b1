"""Difference quotients, tangents, partial derivatives, and the shapes of activation functions."""

import numpy as np
import torch


def f(x):
    return 3 * x**2 - 4 * x


h = 0.1
for _ in range(4):
    print(f"h={h:.5f}, limit={(f(1 + h) - f(1)) / h:.5f}")
    h *= 0.1
x = torch.arange(-2.0, 2.0, 0.5, requires_grad=True)
for name, g in (
    ("relu", torch.relu),
    ("sigmoid", torch.sigmoid),
    ("tanh", torch.tanh),
    ("sin", torch.sin),
    ("cos", torch.cos),
    ("sinh", torch.sinh),
    ("cosh", torch.cosh),
    ("exp", torch.exp),
    ("square", torch.square),
    ("abs", torch.abs),
):
    if x.grad is not None:
        x.grad.zero_()
    y = g(x)
    y.backward(torch.ones_like(x), retain_graph=True)
    print(name, y.detach(), x.grad)
print(torch.sign(x.detach()), torch.clamp(x.detach(), -1, 0.5), 7 % torch.arange(1, 4), torch.arange(5) % 2)
curve = np.array([f(t) for t in torch.linspace(0, 1, 3)])
print(np.round(curve, 4).tolist(), x.detach().numpy().shape)
p = torch.tensor([1.0, 2.0], requires_grad=True)
(p[0] ** 2 * p[1] + torch.sin(p[1])).backward()
print(p.grad)
