"""Handwritten digits in plain PyTorch: what the few lines of `digits_presize.py` stand for.

    python examples/digits_plain_torch.py [EPOCHS]

One epoch takes a few seconds on two cores.
"""

import sys

import torch
import torch.nn.functional as F
from torch import nn
from torch.utils.data import DataLoader
from torchvision.datasets import ImageFolder
from torchvision.models import resnet18
from torchvision.transforms import v2

from presize.data.digits import digits_folder  # the pictures; nothing else of presize is used


def loader(part: str, *, train: bool) -> DataLoader[tuple[torch.Tensor, torch.Tensor]]:
    """Batches of one part of the data, augmented if they are for training."""
    moves = [v2.RandomAffine(10, scale=(1.0, 1.1))] if train else []
    steps = [v2.Resize((32, 32)), *moves, v2.ToImage(), v2.ToDtype(torch.float32, scale=True)]
    data = ImageFolder(str(digits_folder() / part), v2.Compose(steps))
    return DataLoader(data, batch_size=64, shuffle=train, drop_last=train)


def main(epochs: int = 5) -> float:
    """Train, and return the accuracy on the validation set."""
    torch.manual_seed(0)
    train_dl, valid_dl = loader("train", train=True), loader("valid", train=False)
    net = resnet18()
    net.fc = nn.Linear(512, 10)
    opt = torch.optim.AdamW(net.parameters(), lr=5e-3, betas=(0.9, 0.99), eps=1e-5)
    steps = epochs * len(train_dl)
    cycle = torch.optim.lr_scheduler.OneCycleLR(opt, 5e-3, total_steps=steps, pct_start=0.25)
    right = 0.0
    for epoch in range(epochs):
        net.train()
        for x, y in train_dl:
            loss = F.cross_entropy(net(x), y)
            loss.backward()
            opt.step()
            opt.zero_grad()
            cycle.step()
        net.eval()
        with torch.no_grad():
            hits = [(net(x).argmax(1) == y).float() for x, y in valid_dl]
        right = float(torch.cat(hits).mean())
        print(f"epoch {epoch}  loss {loss.item():.4f}  accuracy {right:.4f}")
    return right


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
