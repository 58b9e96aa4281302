"""Check the built sdist and wheel: what must be in them is, and nothing else is."""

from __future__ import annotations

import sys
import tarfile
import zipfile
from pathlib import Path

MOST_BYTES = 1_000_000
NEEDED = ["finetune_kit/py.typed", "finetune_kit/__init__.py", "finetune_kit/demo/*.csv"]
TOP_LEVEL = {"finetune_kit", "CHANGELOG.md", "LICENSE", "PKG-INFO", "README.md", "pyproject.toml", ".gitignore"}
SUFFIXES = {".py", ".typed", ".csv", ".json", ".html", ".css"}


def files_of_wheel(path: Path) -> list[str]:
    with zipfile.ZipFile(path) as archive:
        return [name for name in archive.namelist() if ".dist-info/" not in name]


def files_of_sdist(path: Path) -> list[str]:
    with tarfile.open(path) as archive:
        return [member.name.partition("/")[2] for member in archive.getmembers() if member.isfile()]


def faults_of(path: Path, files: list[str]) -> list[str]:
    """What is wrong with the archive at `path`, one sentence each."""
    faults = [f"lacks {pattern}" for pattern in NEEDED if not any(Path(file).match(pattern) for file in files)]
    faults += [f"holds {file}" for file in files if file.partition("/")[0] not in TOP_LEVEL]
    inside = (Path(file) for file in files if file.startswith("finetune_kit/"))
    faults += [f"holds {file}, of a kind not known to belong there" for file in inside if file.suffix not in SUFFIXES]
    if path.stat().st_size >= MOST_BYTES:
        faults.append(f"has {path.stat().st_size:,} bytes, more than {MOST_BYTES:,}")
    return faults


def main(folder: Path) -> int:
    """Print the faults of each archive in `folder`; 1 if there is one."""
    archives = {path: files_of_wheel(path) for path in folder.glob("*.whl")}
    archives |= {path: files_of_sdist(path) for path in folder.glob("*.tar.gz")}
    faults = [f"{path.name} {fault}" for path, files in archives.items() for fault in faults_of(path, files)]
    if len(archives) != 2:
        faults.append(f"one wheel and one sdist were expected, {len(archives)} archives were built")
    for path, files in archives.items():
        print(f"{path.name}: {len(files)} files, {path.stat().st_size:,} bytes")
    print(*faults, sep="\n", end="\n" if faults else "")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
