"""A network trained on handwritten digits with `dualdiff`, as with PyTorch: python -m compare.examples.forward_in_ten_lines"""

import dualdiff as torch

x, y = (torch.tensor(each[:512]) for each in torch.utils.data.load_digits())
net = torch.nn.Sequential(torch.nn.Linear(64, 32), torch.nn.Tanh(), torch.nn.Linear(32, 10)).double()
optimizer = torch.optim.SGD(net.parameters(), lr=0.5, momentum=0.9)
for _ in range(60):
    optimizer.zero_grad()
    loss = torch.nn.CrossEntropyLoss()(net(x), y)
    loss.backward()
    optimizer.step()
print(f"loss {loss.item():.12f}, accuracy {(net(x).argmax(1) == y).double().mean().item():.4f}")
