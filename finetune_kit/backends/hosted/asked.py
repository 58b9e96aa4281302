"""One question to a host, and what an answer of each kind would mean for it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import BinaryIO, Literal, TypeAlias
from urllib.parse import quote

from finetune_kit.records import JsonValue

Subject: TypeAlias = Literal["job", "file", "model", "upload", ""]


@dataclass(frozen=True, slots=True, kw_only=True)
class FilePart:
    """A file in the body of a question; it is sent as it is read."""

    field: str
    filename: str
    content: BinaryIO
    content_type: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Ask:
    """One question."""

    method: Literal["GET", "POST", "DELETE"] = "GET"
    path: str
    what: str
    """What cannot be done if it fails, such as "the job 'ftjob-1' cannot be read"."""
    subject: Subject = ""
    """What is not there if the host finds nothing."""
    name: str = ""
    """The id or name of that."""
    query: Mapping[str, JsonValue] | None = None
    body: Mapping[str, JsonValue] | None = None
    file: FilePart | None = None
    as_form: bool = False
    """Whether the body is sent as the fields of a form; with a file it always is."""
    creates: str = ""
    """What would be there twice if it were asked twice, such as "a job"; nothing else is ever in doubt."""
    timeout_seconds: float | None = None
    """None for the client's own."""
    follows: bool = True
    """Whether an answer that names another address is followed there; else it is an error."""


def path_of(*names: str) -> str | None:
    """A path with ids in it that cannot leave their place; None where one of them can name nothing."""
    if any(name.strip(".") == "" or not name.isprintable() for name in names):
        return None
    return "/" + "/".join(quote(name, safe=":") for name in names)
