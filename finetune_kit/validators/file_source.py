"""How the file that was read differs from what a host wants to be sent."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from finetune_kit.hosts import FileRules
from finetune_kit.rows import Batch, Source
from finetune_kit.validators.issue import Issue, Severity

_PLAIN = frozenset({None, "utf-8", "ascii", "utf-8-sig"})
_LOOK = "Look at the first rows in print(data.source), and pass encoding= if they read wrongly."


@dataclass(frozen=True, slots=True)
class FileSource:
    """What was guessed or set right while reading is told; it matters to whoever uploads the file itself.

    Bad:  a file in GB18030, or one with a byte-order mark for a host that refuses it
    Good: UTF-8 without a mark
    """

    host: FileRules
    source: Source

    code = "file_source"

    def start(self) -> FileSourceCheck:
        """Begin a run."""
        return FileSourceCheck(self)


@dataclass(frozen=True, slots=True)
class FileSourceCheck:
    """Looks at no row."""

    rule: FileSource

    def see(self, batch: Batch) -> Iterable[Issue]:  # noqa: ARG002 - only the file is judged
        """What there is to say is about the file."""
        return ()

    def finish(self) -> Iterator[Issue]:
        """A note for the encoding, for the byte-order mark, and for each guess of the reader."""
        source = self.rule.source
        encoding = source.encoding
        if encoding not in _PLAIN and not any(str(encoding) in note for note in source.notes):
            yield self._note(f"the file is in {encoding}, not in UTF-8", _LOOK)
        if source.format == "jsonl" and encoding in _PLAIN:
            yield from self._mark()
        yield from (self._note(note.removesuffix("."), "") for note in source.notes)

    def _mark(self) -> Iterator[Issue]:
        host, present = self.rule.host, self.rule.source.bom
        hint = f"The rows were read rightly. Upload what `write` makes for the host {host.name!r}, not the file itself."
        if present and not host.byte_order_mark:
            yield self._note(f"the file begins with a byte-order mark, which {host.name!r} refuses", hint)
        elif host.byte_order_mark and not present:
            yield self._note(f"the file begins without the byte-order mark that {host.name!r} wants", hint)

    def _note(self, message: str, hint: str) -> Issue:
        return Issue(self.rule.code, Severity.INFO, message, hint=hint)
