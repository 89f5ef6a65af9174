"""Train and report: `python train.py --help`."""

import torch
from config import parse_config
from data import get_loaders
from engine import evaluate, train_one_epoch
from losses import DigitLoss
from model import Net


def main():
    config = parse_config()
    torch.manual_seed(config.seed)
    loaders = get_loaders(config)
    model = Net()
    criterion = DigitLoss(config.unlikelihood)
    optimizer = torch.optim.SGD(model.parameters(), lr=config.learning_rate)
    for epoch in range(config.epochs):
        loss = train_one_epoch(model, loaders["train"], criterion, optimizer)
        accuracy = evaluate(model, loaders["val"])
        print(f"epoch {epoch + 1:2}  loss {loss:.3f}  accuracy {accuracy:.3f}")


if __name__ == "__main__":
    main()
