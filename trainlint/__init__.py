"""trainlint finds the mistakes that keep a neural network from learning."""

__version__ = "0.1.0"
