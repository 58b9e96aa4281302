"""How large the file would be that a host gets."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from finetune_kit.hosts import FileRules, HostProfile
from finetune_kit.rows import Batch, Rows
from finetune_kit.validators.issue import Issue, Severity

_BYTE_ORDER_MARK_BYTES = 3
_NEARLY = 0.9


@dataclass(frozen=True, slots=True)
class FileSize:
    """The file as it would be written for the host is no larger than the host takes.

    Bad:  600,000,000 bytes for a host that takes 512,000,000
    Good: 200,000,000 bytes
    """

    host: FileRules

    code = "file_size"

    def start(self) -> FileSizeCheck:
        """Begin a run."""
        return FileSizeCheck(self)


@dataclass(slots=True)
class FileSizeCheck:
    """Adds up the lines of what would be written, without writing it."""

    rule: FileSize
    _rows: Rows | None = None

    def see(self, batch: Batch) -> Iterable[Issue]:
        """The store knows all lengths; they are asked for once, at the end."""
        self._rows = batch.rows
        return ()

    def finish(self) -> Iterable[Issue]:
        """An error over the limit, a note close to it."""
        if self._rows is None:
            return []
        host = self.rule.host
        most = host.most_bytes if isinstance(host, HostProfile) else host.max_file_bytes
        mark = host.byte_order_mark * _BYTE_ORDER_MARK_BYTES
        if self._rows.fit(int(most * _NEARLY) - mark):
            return []
        size = self._rows.content_bytes() + mark
        takes = f"{host.name!r} takes at most {most:,} in one file ({host.as_of})"
        if size <= most:
            message = f"the file will have {size:,} bytes, and {takes}"
            return [Issue(self.rule.code, Severity.INFO, message, hint="There is little room for more rows.")]
        message = f"the file would have {size:,} bytes, and {takes}"
        hint = "Drop repeated rows, sample fewer, or train on one part after the other."
        return [Issue(self.rule.code, Severity.ERROR, message, hint=hint)]
