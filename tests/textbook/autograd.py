"""Gradients: recorded, accumulated, cleared, detached and switched off."""

import torch

x = torch.arange(4.0)
x.requires_grad_(True)
print(x.grad, x.requires_grad)
y = 2 * torch.dot(x, x)
print(y.item())
y.backward()
print(x.grad, x.grad == 4 * x)
x.grad.zero_()
x.sum().backward()
print(x.grad)
x.grad = None
(x * x).backward(torch.ones(len(x)))
print(x.grad)
x.grad.zero_()
y = x * x
u = y.detach()
(u * x).sum().backward()
print(x.grad == u, u.requires_grad, y.requires_grad)


def halving(a):
    """Takes a path that depends on the values."""
    b = a * 2
    while b.norm() < 1000:
        b = b * 2
    return b if b.sum() > 0 else 100 * b


a = torch.tensor(0.75, requires_grad=True)
d = halving(a)
d.backward()
print(a.grad == d / a, a.grad)
with torch.no_grad():
    z = x * 2
    print(z.requires_grad, torch.is_grad_enabled())
print(torch.is_grad_enabled(), (x * 2).requires_grad)


@torch.no_grad()
def evaluate(t):
    return t * 3


print(evaluate(x).requires_grad)
w = torch.ones(2, requires_grad=True)
loss = (w * torch.tensor([1.0, 2.0])).sum()
loss.backward(retain_graph=True)
loss.backward()
print(w.grad)
w.data -= 0.5 * w.grad
print(w.data, w.detach().numpy())
w.data = torch.zeros(2)
print(w, w.data.sum())
h = torch.ones(3, requires_grad=True) * 2
h.detach_()
print(h.requires_grad, h)
