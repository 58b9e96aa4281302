"""The ways into a data set: a constructor for each kind of file and for what is in memory already."""

from __future__ import annotations

import os
from abc import ABC, abstractmethod
from collections.abc import Iterable
from typing import Self

from finetune_kit.readers import (
    ReadResult,
    read_csv,
    read_file,
    read_json,
    read_jsonl,
    read_records,
    read_table,
    read_text,
    read_xlsx,
)


class Constructors(ABC):
    """What makes a `Dataset` of a file, a table or records."""

    @classmethod
    @abstractmethod
    def _of(cls, result: ReadResult) -> Self: ...

    @classmethod
    def from_csv(
        cls,
        path: str | os.PathLike[str],
        *,
        prompt: str | None = None,
        completion: str | None = None,
        encoding: str | None = None,
        delimiter: str | None = None,
        header: bool = True,
        quotes: bool = True,
    ) -> Self:
        """Read a table. Columns, encoding and delimiter are found out unless given; `source` tells them.

        With `header=False` the columns are called "column 1", "column 2" and so on; with `quotes=False` quotes are
        characters like any other.

        Raises a `DataError` that names file and line; rows that cannot be read are kept in `source.refusals`.
        """
        return cls._of(
            read_csv(
                path,
                prompt=prompt,
                completion=completion,
                encoding=encoding,
                delimiter=delimiter,
                header=header,
                quotes=quotes,
            )
        )

    @classmethod
    def from_jsonl(
        cls,
        path: str | os.PathLike[str],
        *,
        prompt: str | None = None,
        completion: str | None = None,
        encoding: str | None = None,
    ) -> Self:
        """Read JSON Lines of prompts and completions, or of conversations (`messages`)."""
        return cls._of(read_jsonl(path, prompt=prompt, completion=completion, encoding=encoding))

    @classmethod
    def from_file(
        cls,
        path: str | os.PathLike[str],
        *,
        prompt: str | None = None,
        completion: str | None = None,
        encoding: str | None = None,
        delimiter: str | None = None,
        sheet: str | int | None = None,
        header: bool = True,
        quotes: bool = True,
    ) -> Self:
        """Read a table, a workbook, JSON, JSON Lines or plain text, packed or not, by what is in it."""
        return cls._of(
            read_file(
                path,
                prompt=prompt,
                completion=completion,
                encoding=encoding,
                delimiter=delimiter,
                sheet=sheet,
                header=header,
                quotes=quotes,
            )
        )

    @classmethod
    def from_tsv(
        cls,
        path: str | os.PathLike[str],
        *,
        prompt: str | None = None,
        completion: str | None = None,
        encoding: str | None = None,
        header: bool = True,
        quotes: bool = True,
    ) -> Self:
        """Read a table whose cells are separated by tabs; the other parameters are those of `from_csv`."""
        return cls.from_csv(
            path,
            prompt=prompt,
            completion=completion,
            encoding=encoding,
            delimiter="\t",
            header=header,
            quotes=quotes,
        )

    @classmethod
    def from_xlsx(
        cls,
        path: str | os.PathLike[str],
        *,
        sheet: str | int | None = None,
        prompt: str | None = None,
        completion: str | None = None,
        header: bool = True,
    ) -> Self:
        """Read a sheet, by name or by number from 1, of an .xlsx, .xlsm, .xlsb, .xls or .ods workbook."""
        return cls._of(read_xlsx(path, sheet=sheet, prompt=prompt, completion=completion, header=header))

    @classmethod
    def from_json(
        cls,
        path: str | os.PathLike[str],
        *,
        prompt: str | None = None,
        completion: str | None = None,
        encoding: str | None = None,
    ) -> Self:
        """Read an array of rows, an object that holds one, or objects one after another."""
        return cls._of(read_json(path, prompt=prompt, completion=completion, encoding=encoding))

    @classmethod
    def from_text(cls, path: str | os.PathLike[str], *, encoding: str | None = None) -> Self:
        """Read each line that is not blank as a completion without a prompt."""
        return cls._of(read_text(path, encoding=encoding))

    @classmethod
    def from_pandas(cls, frame: object, *, prompt: str | None = None, completion: str | None = None) -> Self:
        """Take the rows of a pandas `DataFrame`; a missing value is null, "NA" stays a text."""
        return cls._of(read_table(frame, prompt=prompt, completion=completion))

    @classmethod
    def from_polars(cls, frame: object, *, prompt: str | None = None, completion: str | None = None) -> Self:
        """Take the rows of a polars `DataFrame`."""
        return cls._of(read_table(frame, prompt=prompt, completion=completion))

    @classmethod
    def from_huggingface(cls, data: object, *, prompt: str | None = None, completion: str | None = None) -> Self:
        """Take the rows of one split of a Hugging Face `Dataset`; class labels are read by their names."""
        return cls._of(read_table(data, prompt=prompt, completion=completion))

    @classmethod
    def from_records(
        cls, records: Iterable[object], *, prompt: str | None = None, completion: str | None = None
    ) -> Self:
        """Take dicts as JSON Lines holds them, (prompt, completion) pairs, or examples."""
        return cls._of(read_records(records, prompt=prompt, completion=completion))
