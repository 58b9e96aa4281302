"""Optional packages: imported on use, and a missing one says the pip line that brings it."""

from __future__ import annotations

import importlib
import importlib.util
from types import ModuleType

from finetune_kit.errors import MissingExtraError

# The CPU build of torch is pinned first so that pip does not take the CUDA build of several gigabytes.
_PIP_LINES = {"local": 'pip install torch==2.13.0 "finetune_kit[local]"'}


def pip_line(extra: str) -> str:
    """The command that installs what `extra` needs."""
    return _PIP_LINES.get(extra, f'pip install "finetune_kit[{extra}]"')


def installed(package: str) -> bool:
    """Whether `package` can be imported, without importing it."""
    return importlib.util.find_spec(package) is not None


def missing(package: str, *, extra: str, purpose: str) -> MissingExtraError:
    """The error for a package that is not installed."""
    return MissingExtraError(
        f"{purpose} needs the package {package!r}, which is not installed. Install it: {pip_line(extra)}",
        package=package,
        extra=extra,
    )


def require(package: str, *, extra: str, purpose: str) -> ModuleType:
    """Import `package`, or raise `MissingExtraError` with the pip line."""
    try:
        return importlib.import_module(package)
    except ModuleNotFoundError as error:
        if error.name is not None and error.name.partition(".")[0] == package.partition(".")[0]:
            raise missing(package, extra=extra, purpose=purpose) from error
        raise
