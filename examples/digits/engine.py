"""One epoch of training, and the evaluation after it."""

import torch


def train_one_epoch(model, loader, criterion, optimizer):
    model.train()
    total = 0
    for images, labels in loader:
        loss = criterion(model(images), labels)
        loss.backward()
        optimizer.step()
        total += loss
    return total / len(loader)


def evaluate(model, loader):
    correct = count = 0
    with torch.no_grad():
        for images, labels in loader:
            predicted = model(images).argmax(dim=1)
            correct += (predicted == labels).sum().item()
            count += len(labels)
    return correct / count
