"""Counts of rolled dice, and what does not depend on the rolls."""

import torch
from torch.distributions import multinomial

fair = torch.ones([6]) / 6
once = multinomial.Multinomial(1, fair).sample()
ten = multinomial.Multinomial(10, fair).sample()
print(once.shape, once.sum(), once.dtype, ten.sum(), ten.shape)
many = multinomial.Multinomial(10, fair).sample((500,))
running = many.cumsum(dim=0)
estimates = running / running.sum(dim=1, keepdims=True)
print(many.shape, estimates.shape, torch.abs(estimates[-1] - 1 / 6).max() < 0.05, estimates[:, 0].numpy().shape)
torch.manual_seed(3)
for draw in (torch.rand(3, 2), torch.randn(3, 2), torch.rand(size=(2,)), torch.randn((4,)), torch.normal(0, 1, (2, 3))):
    print(draw.shape, draw.dtype, draw.requires_grad)
print(torch.randn(size=(1,), requires_grad=True).requires_grad, torch.rand(torch.ones(2, 2).shape).shape)
big = torch.normal(mean=2.0, std=0.5, size=(20000,))
print(torch.abs(big.mean() - 2) < 0.05, torch.normal(0, 0.01, size=(2, 2), requires_grad=True).requires_grad)
again = torch.zeros(5000).normal_(1, 2)
print(torch.abs(again.mean() - 1) < 0.2, torch.zeros(3).normal_().shape)
torch.manual_seed(3)
first = torch.rand(4)
torch.manual_seed(3)
print(torch.sum(first == torch.rand(4)).item(), torch.randperm(5).sort()[0], sorted(torch.randperm(3).tolist()))
