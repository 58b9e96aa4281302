"""Rows that could not be read, all of them and whole, kept on disk as JSON lines until somebody wants them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import orjson

from finetune_kit._spool import Spool, Store
from finetune_kit.errors import RowError


class RefusedRows:
    """The refused rows of one source."""

    __slots__ = ("_store",)

    def __init__(self, store: Store | None = None) -> None:
        self._store = store

    def __len__(self) -> int:
        return 0 if self._store is None else len(self._store)

    def __repr__(self) -> str:
        return f"RefusedRows(len={len(self)})"

    def __reduce__(self) -> tuple[Any, ...]:
        return _rebuild, (list(self.lines()),)

    def lines(self) -> Iterator[bytes]:
        """Each as a JSON object and a line feed: where it stood, what is wrong with it, and the row as it was read."""
        return iter(()) if self._store is None else map(self._store.read, range(len(self._store)))


class RefusedRowsBuilder:
    """Collects refused rows; there is no file until the first comes."""

    def __init__(self) -> None:
        self._spool: Spool | None = None

    def add(self, error: RowError, *, line: int, raw: object, path: str | None = None) -> None:
        """Keep a row; `path` names its file where that is not the source's only one."""
        named = {} if path is None else {"path": _as_text(path)}
        told = {
            **named,
            "line": line,
            "column": error.column,
            "code": error.code,
            "reason": str(error),
            "hint": error.hint,
        }
        self._append(_dumped({**told, "row": _as_text(raw)}))

    def build(self) -> RefusedRows:
        """The rows; call it once, last."""
        return RefusedRows(None if self._spool is None else self._spool.seal())

    def _append(self, line: bytes) -> None:
        self._spool = self._spool or Spool()
        self._spool.append(line)


def joined_refused(parts: Iterable[tuple[str | None, RefusedRows]]) -> RefusedRows:
    """The refused rows of several sources, each with the path of its file, where there is one to add."""
    spool: Spool | None = None
    for path, rows in parts:
        for line in rows.lines():
            spool = spool or Spool()
            named = line if path is None else b'{"path":' + orjson.dumps(_as_text(path)) + b"," + line[1:]
            spool.append(named)
    return RefusedRows(None if spool is None else spool.seal())


def _rebuild(lines: Iterable[bytes]) -> RefusedRows:
    spool = Spool()
    for line in lines:
        spool.append(line)
    return RefusedRows(spool.seal())


def _as_text(raw: object) -> object:
    """The row as JSON can hold it; what it cannot is escaped, not lost."""
    if isinstance(raw, bytes):
        return raw.decode("utf-8", "backslashreplace")
    if isinstance(raw, str):
        return raw.encode("utf-8", "backslashreplace").decode()
    return raw


def _dumped(told: dict[str, object]) -> bytes:
    options = orjson.OPT_APPEND_NEWLINE | orjson.OPT_NON_STR_KEYS
    try:
        return orjson.dumps(told, default=repr, option=options)
    except (TypeError, RecursionError):
        return orjson.dumps({**told, "row": _as_text(repr(told["row"]))}, option=options)
