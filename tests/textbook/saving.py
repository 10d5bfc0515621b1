"""Tensors, lists, dicts and parameters, stored and read back."""

import torch
from torch import nn

x = torch.arange(4)
torch.save(x, "x-file")
print(torch.load("x-file"))
y = torch.zeros(4)
torch.save([x, y], "x-files")
x2, y2 = torch.load("x-files")
print(x2, y2)
torch.save({"x": x, "y": y}, "mydict")
print(torch.load("mydict"))
net = nn.Sequential(nn.Linear(4, 3), nn.Linear(3, 1))
torch.save(net.state_dict(), "net.params")
clone = nn.Sequential(nn.Linear(4, 3), nn.Linear(3, 1))
clone.load_state_dict(torch.load("net.params"))
clone.eval()
X = torch.ones(2, 4)
print(clone(X) == net(X), list(torch.load("net.params")))
