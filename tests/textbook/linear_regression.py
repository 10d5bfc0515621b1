"""The same line with layers, a loader and an optimizer; deterministic, so that every number is compared."""

import torch
from torch import nn
from torch.utils import data

n = 64
t = torch.arange(2.0 * n).reshape(n, 2)
features = torch.sin(t * 12.9898)
labels = (features @ torch.tensor([[2.0], [-3.4]])) + 4.2


def loader(arrays, size, train=True):
    dataset = data.TensorDataset(*arrays)
    return data.DataLoader(dataset, size, shuffle=train)


batches = loader((features, labels), 16, train=False)
print(len(batches), [X.shape for X, _ in batches], next(iter(batches))[1].shape)
net = nn.Sequential(nn.Linear(2, 1))
net[0].weight.data = torch.tensor([[0.01, -0.02]])
net[0].bias.data = torch.zeros(1)
trainer = torch.optim.SGD(net.parameters(), lr=0.1)
for epoch in range(5):
    for X, y in batches:
        loss = ((net(X) - y) ** 2).mean()
        trainer.zero_grad()
        loss.backward()
        trainer.step()
    with torch.no_grad():
        print(f"epoch {epoch + 1}, loss {((net(features) - labels) ** 2).mean():f}")
print(net[0].weight.data, net[0].bias.data, trainer.param_groups[0]["lr"])
results = {"weight": net[0].weight.data, "bias": net[0].bias.data}
shuffled = sorted(float(y) for _, y in loader((features, labels), 1))
print(len(shuffled), abs(sum(shuffled) - float(labels.sum())) < 1e-3)
