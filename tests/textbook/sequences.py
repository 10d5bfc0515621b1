"""A recurrent network written out: one-hot tokens, a state carried along and cut off, gradients clipped."""

import torch
from torch.nn import functional as F

T = 40
time = torch.arange(1, T + 1, dtype=torch.float32)
wave = torch.sin(0.1 * time)
windows = torch.zeros((T - 4, 4))
for i in range(4):
    windows[:, i] = wave[i : T - 4 + i]
print(windows[:2], wave[4:].reshape((-1, 1)).shape)
tokens = torch.tensor([0, 2, 1, 2, 0, 1, 1, 2]).reshape(2, 4)
print(F.one_hot(tokens.T, 3).shape, F.one_hot(torch.tensor([0, 2]), 3))


def weights(n, h):
    W_x = torch.cos(torch.arange(float(n * h))).reshape(n, h) * 0.3
    W_h = torch.sin(torch.arange(float(h * h))).reshape(h, h) * 0.3
    W_q = torch.sin(torch.arange(float(h * n)) + 1).reshape(h, n) * 0.3
    made = [W_x, W_h, torch.zeros(h), W_q, torch.zeros(n)]
    for param in made:
        param.requires_grad_(True)
    return made


def run(inputs, H, params):
    W_x, W_h, b_h, W_q, b_q = params
    outputs = []
    for X in inputs:
        H = torch.tanh(torch.mm(X, W_x) + torch.mm(H, W_h) + b_h)
        outputs.append(torch.mm(H, W_q) + b_q)
    return torch.cat(outputs, dim=0), H


def clip(params, theta):
    norm = torch.sqrt(sum(torch.sum(p.grad**2) for p in params))
    if norm > theta:
        for param in params:
            param.grad[:] *= theta / norm
    return float(norm)


params = weights(3, 4)
H = torch.zeros((2, 4))
for epoch in range(6):
    H.detach_()
    X = F.one_hot(tokens.T, 3).type(torch.float32)
    y = torch.cat((tokens[:, 1:], tokens[:, :1]), 1).T.reshape(-1)
    out, H = run(X, H, params)
    picked = torch.log(F.softmax(out, dim=1))[torch.arange(len(y)), y.long()]
    loss = -picked.mean()
    for param in params:
        if param.grad is not None:
            param.grad.zero_()
    loss.backward()
    norm = clip(params, 0.5)
    with torch.no_grad():
        for param in params:
            param -= param.grad
    print(f"{epoch} {torch.exp(loss):.3f} {norm:.3f}")
print(int(out[0].argmax()), out.shape, H.shape)
results = {"loss": loss.item()}
