"""The files at the host vanish with their last user."""

from __future__ import annotations

import gc
import warnings
from pathlib import Path

import pytest

from finetune_kit.testing.simulator.blob import Blob, content_of


def test_a_file_that_nobody_closed_is_closed_without_a_warning() -> None:
    with warnings.catch_warnings(record=True) as seen:
        warnings.simplefilter("always")
        blob = Blob()
        blob.write(b"x")
        del blob
        gc.collect()
    assert not [warning.message for warning in seen]


def test_a_large_file_that_nobody_closed_is_on_disk_no_longer() -> None:
    if not (folder := Path("/proc/self/fd")).exists():
        pytest.skip("only Linux lists the open files of a process")
    before = len(list(folder.iterdir()))
    content = content_of(bytes(2 << 20))
    assert len(list(folder.iterdir())) == before + 1
    del content
    gc.collect()
    assert len(list(folder.iterdir())) == before
