"""Whatever the bytes are, a reader gives rows or one of our errors, and accounts for every row."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from finetune_kit.errors import FinetuneKitError
from finetune_kit.readers import ReadResult, read_csv, read_file, read_json, read_jsonl, read_text

TABLES = st.lists(st.sampled_from([*'a,;"\n\r\t \0é你\ufeff', '""', "prompt,completion\n"])).map("".join)
WORDS = [*"{}[]:,1", "null", '"prompt"', '"completion"', '"messages"', '"role"', '"x"', '"\\ud800"']
ROWS = ['{"prompt":"q","completion":"a"}\n', '{"messages":[{"role":"user"}]}\n']
OBJECTS = st.lists(st.sampled_from([*WORDS, *ROWS, "\n"])).map("".join)
ENCODINGS = st.sampled_from(["utf-8", "utf-16", "utf-16-le", "utf-32", "gb18030", "utf-8-sig"])
NAMED = st.none() | st.sampled_from(["ascii", "utf-16", "gb18030", "utf-7", "unicode_escape", "undefined", "idna"])
MAGIC = st.sampled_from([b"", b"", b"", b"\x1f\x8b", b"\x1f\x8b\x08\0\0\0\0\0\0\xff", b"\x28\xb5\x2f\xfd", b"[", b"{"])
CONTENT = st.binary(max_size=200) | st.builds(str.encode, TABLES | OBJECTS, ENCODINGS)


@pytest.mark.parametrize("read", [read_csv, read_file, read_json, read_jsonl, read_text])
@given(content=st.builds(lambda magic, rest: magic + rest, MAGIC, CONTENT), encoding=NAMED)
def test_any_bytes_give_rows_or_our_error(
    tmp_path_factory: pytest.TempPathFactory, read: Callable[..., ReadResult], content: bytes, encoding: str | None
) -> None:
    path: Path = tmp_path_factory.getbasetemp() / "any"
    path.write_bytes(content)
    with contextlib.suppress(FinetuneKitError):
        result = read(path, encoding=encoding)
        assert len(list(result.rows)) == result.source.rows_read == len(result.rows) > 0
        assert result.source.rows_in == result.source.rows_read + result.source.rows_refused
        assert len(result.source.refusals) == result.source.rows_refused
