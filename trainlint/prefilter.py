"""Could a file concern any rule? Decided on its bytes, so that most files are never parsed."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from trainlint.search_path import path_edits

# The beginnings of the packages that training code imports.
LIBRARIES = """
    PIL accelerate albumentations apex bitsandbytes braindecode catalyst catboost composer cuml cupy cv2
    datasets deepspeed detectron2 dgl diffusers equinox evaluate fastai feature_engine flax functorch grain
    haiku ignite imblearn imgaug jax keras keras_core kornia lightgbm mmcv mmengine monai neural_tangents
    numpy ogb optax optuna pandas peft polars pytorch scipy seaborn segmentation_models openml skimage sklearn skorch
    lightning tensorflow tf_keras timm torch transformers trl xgboost
""".split()

# Of these, the ones whose files have no use for what PyTorch calls things, unless they import it too.
OTHER_FRAMEWORKS = frozenset(("equinox", "flax", "haiku", "jax", "keras", "keras_core", "optax", "tensorflow"))

# The distance is bounded because a notebook may be one line of megabytes.
_IMPORT = re.compile(rf"(?:import|from)\b[\w., \t]{{0,120}}?\b(?:{'|'.join(LIBRARIES)})".encode())

# What only training code and models say: they may import everything through modules of their own.
_TELLTALES = (
    *(b".backward(", b".zero_grad(", b".load_state_dict(", b".fit_transform(", b"DataLoader("),
    *(b"nn.Module", b"LightningModule", b"torch."),
)

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


# Import statements, those behind a colon or semicolon too. In a notebook a line is a string.
_STATEMENT = re.compile(
    rb"""(?:^|[;:"]|\\n)[ \t]*(?:from[ \t]*([.\w]+)[ \t]*import\b[ \t]*(\([^)]*\)|[^\n\\;]*(?:\\\r?\n[^\n\\;]*)*)
    |import[ \t]+([\w., \t]+))""",
    re.MULTILINE | re.VERBOSE,
)
_COMMENT = re.compile(rb"#[^\n]*")
_NAME = re.compile(rb"(\w+)(?:\s+as\s+\w+)?")
_DYNAMIC = re.compile(rb"""\bimport_module\([ \t\n]*[fF]?["']([\w.]+)""")


def imports(content: bytes) -> list[str]:
    """What a file's text imports, perhaps: `package.module`, `..module` and also `package.module.name` of names that
    are taken from a module, since they may be modules themselves. `package.` means any module of the package."""
    found: dict[str, None] = {}
    for module, names, modules in _STATEMENT.findall(content):
        if module:
            path = module.decode("utf-8", "replace")
            found[path] = None
            before = path if path.endswith(".") else f"{path}."
            for name in _NAME.findall(_COMMENT.sub(b"", names)):
                found[before + name.decode("utf-8", "replace")] = None
        for item in modules.split(b","):
            name = item.split()[:1]
            if name:
                found[name[0].decode("utf-8", "replace")] = None
    for name in _DYNAMIC.findall(content) if b"import_module" in content else ():
        found[name.decode("utf-8", "replace")] = None
    return list(found)


def words_of(imported: Iterable[str]) -> set[str]:
    """The words of imports: names of modules and packages, and of what is taken from them."""
    return {word for path in imported for word in path.split(".") if word}


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


class Facts(NamedTuple):
    """What a file's bytes tell of it without being parsed."""

    concerns: bool  # some rule, perhaps
    may_be_suppressed: bool
    is_script: bool
    imports: list[str]
    size: int
    path_edits: Sequence[str] = ()  # folders that it puts on `sys.path`


def facts_of(content: bytes, further: re.Pattern[bytes] | None = None) -> Facts:
    """All that is decided on a file's bytes."""
    return Facts(
        may_concern(content, further),
        may_be_suppressed(content),
        is_script(content),
        imports(content),
        len(content),
        path_edits(content),
    )
