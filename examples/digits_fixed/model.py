"""The network."""

from torch import nn


class Net(nn.Module):
    def __init__(self, classes=10, width=16):
        super().__init__()
        self.features = nn.Sequential(
            nn.Conv2d(1, width, 3, padding=1, bias=False),
            nn.BatchNorm2d(width),
            nn.ReLU(),
            nn.MaxPool2d(2),
            nn.Conv2d(width, 2 * width, 3, padding=1, bias=False),
            nn.BatchNorm2d(2 * width),
            nn.ReLU(),
            nn.MaxPool2d(2),
        )
        self.dropout = nn.Dropout(0.5)
        self.classify = nn.Linear(2 * width * 3 * 3, classes)

    def forward(self, images):
        x = self.features(images).flatten(1)
        return self.classify(self.dropout(x))
