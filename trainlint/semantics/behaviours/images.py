"""Images of PIL and OpenCV: how many channels they have, and their size where it is asked for."""

from __future__ import annotations

from typing import TYPE_CHECKING

from trainlint.semantics import shapes as sizes
from trainlint.semantics.library import as_tensor, behaviour
from trainlint.semantics.values import NONE, UNKNOWN, Api, Instance, Shape, Tensor, Value, const, image_axes

if TYPE_CHECKING:
    from trainlint.semantics.library import Call

# The channels of the modes of PIL, and what OpenCV reads or makes of three.
MODES = {"RGB": 3, "YCbCr": 3, "LAB": 3, "HSV": 3, "RGBA": 4, "CMYK": 4, "L": 1, "1": 1, "I": 1, "F": 1, "P": 1}
READ = {None: 3, 1: 3, 0: 1, "cv2.IMREAD_COLOR": 3, "cv2.IMREAD_COLOR_RGB": 3, "cv2.IMREAD_GRAYSCALE": 1}


def image(call: Call, axes: Shape) -> Instance:
    """An image of PIL: channels, height and width."""
    made = Instance(Api("PIL.Image.Image"), "image", call.interp.step(call.node, call.short_name))
    made.attrs["$axes"] = axes
    return made


def axes_of(call: Call) -> Shape:
    return (isinstance(call.receiver, Instance) and image_axes(call.receiver)) or (None, None, None)


@behaviour("open_image")
def open_image(call: Call) -> Value:
    return image(call, (None, None, None))


@behaviour("image_of_array")
def image_of_array(call: Call) -> Value:
    given = call.first.shape if isinstance(call.first, Tensor) else None
    if given is None or call.value("mode", 1) is not None:
        return image(call, (None, None, None))
    return image(call, (1, *given) if len(given) == 2 else (given[-1], *given[:2]) if len(given) == 3 else (None,) * 3)


@behaviour("converted_image")
def converted_image(call: Call) -> Value:
    mode = const(call.value("mode", 1) or UNKNOWN)
    return image(call, (MODES.get(mode) if isinstance(mode, str) else None, *axes_of(call)[1:]))


@behaviour("resized_image")
def resized_image(call: Call) -> Value:
    return image(call, (axes_of(call)[0], *height_and_width(call, call.value("size", 1))))


@behaviour("same_image")
def same_image(call: Call) -> Value:
    return image(call, axes_of(call))


@behaviour("other_image")
def other_image(call: Call) -> Value:
    return image(call, (axes_of(call)[0], None, None))


def height_and_width(call: Call, size: Value | None) -> Shape:
    """The axes of what is resized to a width and a height."""
    given = sizes.listed(call.interp, size)
    return (given[1], given[0]) if given is not None and len(given) == 2 else (None, None)


def pixels(channels: int | None, space: Shape) -> Tensor:
    """An image of OpenCV, an array, which has no axis of channels where there is but one."""
    shape = None if channels is None else space if channels == 1 else (*space, channels)
    return Tensor(lib="numpy", graph=False, shape=shape)


@behaviour("read_pixels")
def read_pixels(call: Call) -> Value:
    flags = call.value("flags", 1)
    return pixels(READ.get(flags.path if isinstance(flags, Api) else const(flags or NONE)), (None, None))


@behaviour("resized_pixels")
def resized_pixels(call: Call) -> Value:
    given = as_tensor(call.first)
    if given.shape is None or len(given.shape) not in (2, 3) or given.shape[2:] == (1,):
        return given.but(shape=None)
    return given.but(shape=(*height_and_width(call, call.value("dsize", 1)), *given.shape[2:]))


@behaviour("recoloured_pixels")
def recoloured_pixels(call: Call) -> Value:
    given, code = as_tensor(call.first), call.value("code", 1)
    target = code.path.rpartition("2")[2] if isinstance(code, Api) and code.path.startswith("cv2.COLOR_") else ""
    space = given.shape[:2] if given.shape is not None and len(given.shape) > 1 else (None, None)
    channels = {"GRAY": 1, "RGB": 3, "BGR": 3, "HSV": 3, "LAB": 3, "RGBA": 4, "BGRA": 4}.get(target)
    return given.but(shape=pixels(channels, space).shape)
