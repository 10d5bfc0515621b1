"""Where tensors live."""

import torch
from torch import nn


def pick(i=0):
    """GPU `i`, or the CPU where there is none."""
    if torch.cuda.device_count() >= i + 1:
        return torch.device(f"cuda:{i}")
    return torch.device("cpu")


print([torch.device("cpu"), torch.device("cuda"), torch.device("cuda:1")], str(torch.device("cuda:1")), torch.device("cpu"))
print(torch.cuda.device_count() > 100, torch.device("cuda") != torch.device("cpu"), pick(50))
x = torch.tensor([1, 2, 3])
print(x.device, repr(x.device), x.cpu().device, x.to(torch.device("cpu")).device)
X = torch.ones(2, 3, device=pick(50))
print(X, X.device.type, torch.zeros(1, device="cpu").device == X.device)
net = nn.Sequential(nn.Linear(3, 1))
net = net.to(device=pick(50))
print(net[0].weight.data.device, net.to(pick(50))(X).shape, next(iter(net.parameters())).device)
if torch.cuda.device_count() > 0:
    print(x.cuda(0).device.type == "cuda")
else:
    print(True)
