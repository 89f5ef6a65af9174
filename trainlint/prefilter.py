"""Could a file concern any rule? Decided on its bytes, so that most files are never parsed."""

from __future__ import annotations

import re
from collections.abc import Iterable

# The beginnings of the packages that training code imports.
LIBRARIES = """
    accelerate albumentations apex bitsandbytes catalyst catboost composer cuml cupy datasets deepspeed detectron2
    diffusers equinox fastai flax functorch haiku ignite imblearn jax keras kornia lightgbm lightning mmcv mmengine
    monai numpy optax pandas peft polars pytorch scipy segmentation_models skimage sklearn skorch tensorflow
    tf_keras timm torch transformers trl xgboost
""".split()

# The distance is bounded because a notebook may be one line of megabytes.
_IMPORT = re.compile(rf"(?:import|from)\b[\w., \t]{{0,120}}?\b(?:{'|'.join(LIBRARIES)})".encode())

# Calls that only training code makes: it may import everything through modules of its own.
_TELLTALES = (b".backward(", b".zero_grad(", b".load_state_dict(", b".fit_transform(", b"DataLoader(")

# A suppression of ours, which must be told when it is of no use.
_SUPPRESSION = re.compile(rb"trainlint\s*:|noqa\s*:[^\n]{0,200}?\btl\d")


def importing(packages: Iterable[str]) -> re.Pattern[bytes] | None:
    """What finds imports of these packages; None if there are none."""
    names = "|".join(sorted(map(re.escape, packages)))
    return re.compile(rf"(?:import|from)\b[\w., \t]{{0,120}}?\b(?:{names})\b".encode()) if names else None


def may_concern(content: bytes, further: re.Pattern[bytes] | None = None) -> bool:
    """Whether a file with this content has to be parsed; `further` finds imports of packages that settings tell of."""
    return (
        _IMPORT.search(content) is not None
        or (further is not None and further.search(content) is not None)
        or any(telltale in content for telltale in _TELLTALES)
        or (may_be_suppressed(content) and _SUPPRESSION.search(content.lower()) is not None)
    )


def may_be_suppressed(content: bytes) -> bool:
    """Whether a file with this content may hold suppression comments, be they ours or everybody's."""
    lowered = content.lower()
    return b"noqa" in lowered or b"trainlint" in lowered


_FROM = re.compile(
    rb"^[ \t]*(?:from[ \t]+([.\w]+)[ \t]+import[ \t]+\(?([\w., \t]*)|import[ \t]+([\w., \t]+))", re.MULTILINE
)


def imported_words(content: bytes) -> set[str]:
    """The words of all import statements: names of modules and packages, and of what is taken from them."""
    return {
        word
        for match in _FROM.finditer(content)
        for part in match.groups()
        if part
        for word in re.findall(r"\w+", part.decode("ascii", "replace"))
    }


_TOP_LEVEL = re.compile(
    rb"^(?!def |class |async |elif |import |from )\w[\w., \t]*(?:=[ \t]*\w[\w.]*[ \t]*)?\(", re.MULTILINE
)


def is_script(content: bytes) -> bool:
    """Whether a file does something when it is started."""
    return b"__main__" in content or _TOP_LEVEL.search(content) is not None


def module_stem(filename: str) -> str:
    """The name that other files import a file by."""
    parts = filename.replace("\\", "/").rsplit("/", 2)
    return parts[-2] if parts[-1] == "__init__.py" and len(parts) > 1 else parts[-1].rpartition(".")[0]
