"""The settings of a run."""

import argparse
from dataclasses import dataclass


@dataclass
class Config:
    data: str = "digits.npz"
    train_share: float = 0.8
    batch_size: int = 50
    epochs: int = 6
    learning_rate: float = 0.05
    unlikelihood: float = 0.1
    seed: int = 0


def parse_config() -> Config:
    parser = argparse.ArgumentParser(description="Train a small network on digits drawn in seven segments.")
    for name, default in vars(Config()).items():
        parser.add_argument(f"--{name.replace('_', '-')}", type=type(default), default=default)
    return Config(**vars(parser.parse_args()))
