"""The data set and its loaders."""

import numpy as np
import torch
from torch.utils.data import DataLoader, Dataset


class Digits(Dataset):
    def __init__(self, images, labels, augment=False):
        self.images = torch.from_numpy(images).unsqueeze(1)
        self.labels = torch.from_numpy(labels)
        self.augment = augment

    def __len__(self):
        return len(self.images)

    def __getitem__(self, index):
        image = self.images[index]
        if self.augment:
            shift = torch.randint(-1, 2, (2,)).tolist()
            image = torch.roll(image, shift, dims=(1, 2))
        return image, self.labels[index]


def get_loaders(config):
    stored = np.load(config.data)
    images = stored["images"].astype("float32")
    labels = stored["labels"]

    split = int(config.train_share * len(images))
    mean, std = images[:split].mean(), images[:split].std()
    images = (images - mean) / std

    train_set = Digits(images[:split], labels[:split], augment=True)
    val_set = Digits(images[split:], labels[split:])
    return {
        "train": DataLoader(train_set, batch_size=config.batch_size, shuffle=True),
        "val": DataLoader(val_set, batch_size=config.batch_size),
    }
