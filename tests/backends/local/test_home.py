"""Where things lie, who can read them, and what is said when they cannot be written."""

from __future__ import annotations

import errno
import os
import stat
from pathlib import Path

import pytest

from finetune_kit._home import storage_error
from finetune_kit.backends.local.home import Home
from finetune_kit.backends.local.store import Store
from finetune_kit.errors import StorageError, WeightsError


def test_a_given_path_goes_before_the_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FINETUNE_KIT_HOME", str(tmp_path / "from environment"))
    assert Home.at(tmp_path / "given").root == tmp_path / "given"
    assert Home.at().root == tmp_path / "from environment"


def test_without_either_it_is_the_users_data_folder(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("FINETUNE_KIT_HOME")
    assert Home.at().root.name == "finetune_kit"


def test_a_relative_path_stays_where_it_was_when_the_folder_changes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert Home.at("here").root == tmp_path / "here"


@pytest.mark.skipif(os.name != "posix", reason="permissions are those of POSIX")
def test_only_its_user_can_read_it(tmp_path: Path) -> None:
    store = Store(Home(tmp_path / "home"))
    store.add_file([b"a secret"], filename="a.jsonl")
    assert stat.S_IMODE(store.home.root.stat().st_mode) == 0o700


def test_a_file_where_the_folder_should_be_is_a_storage_error(tmp_path: Path) -> None:
    (tmp_path / "home").write_text("in the way", encoding="utf-8")
    with pytest.raises(StorageError, match=r"home cannot be used"):
        Store(Home(tmp_path / "home"))


@pytest.mark.parametrize(
    ("number", "advice"),
    [
        (errno.ENOSPC, "no space is left on the disk that holds"),
        (errno.EACCES, "Point FINETUNE_KIT_HOME at a folder of yours"),
        (errno.EROFS, "Point FINETUNE_KIT_HOME at a folder of yours"),
        (errno.EIO, "cannot be used"),
    ],
)
def test_a_fault_of_the_disk_says_what_to_do(number: int, advice: str, tmp_path: Path) -> None:
    assert advice in str(storage_error(OSError(number, os.strerror(number)), tmp_path))


def test_an_error_that_already_says_what_to_do_is_left_alone(tmp_path: Path) -> None:
    """`WeightsError` is an `OSError` too."""
    with pytest.raises(WeightsError, match="damaged"), Home(tmp_path).writing(tmp_path):
        raise WeightsError("damaged")
