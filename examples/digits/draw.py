"""Draw the data set, so that nothing has to be downloaded: `python draw.py` writes digits.npz."""

import numpy as np

SIZE = 12
# The segments that are lit for each digit: top, upper left and right, middle, lower left and right, bottom.
SEGMENTS = "1110111 0010010 1011101 1011011 0111010 1101011 1101111 1010010 1111111 1111011".split()
# Where a segment lies: rows and columns.
PLACES = [
    (slice(1, 2), slice(4, 8)),
    (slice(2, 5), slice(3, 4)),
    (slice(2, 5), slice(8, 9)),
    (slice(5, 6), slice(4, 8)),
    (slice(6, 9), slice(3, 4)),
    (slice(6, 9), slice(8, 9)),
    (slice(9, 10), slice(4, 8)),
]


def draw(count, seed=0, noise=40):
    """`count` grey pictures and their digits: brighter and darker ones, in noise."""
    random = np.random.default_rng(seed)
    digits = np.zeros((10, SIZE, SIZE))
    for digit, lit in enumerate(SEGMENTS):
        for segment, place in zip(lit, PLACES):
            if segment == "1":
                digits[(digit, *place)] = 1
    labels = random.integers(0, 10, count)
    brightness = random.uniform(60, 160, (count, 1, 1))
    images = 60 + brightness * digits[labels] + noise * random.standard_normal((count, SIZE, SIZE))
    return images.clip(0, 255).astype("uint8"), labels


if __name__ == "__main__":
    images, labels = draw(1500)
    np.savez_compressed("digits.npz", images=images, labels=labels)
