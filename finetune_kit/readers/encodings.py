"""The encoding doctor: a file's encoding, proven by decoding all of it strictly, or a refusal that names the place."""

from __future__ import annotations

import codecs
import contextlib
import io
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from io import BufferedReader
from typing import TypeVar

from finetune_kit.errors import EncodingError, FinetuneKitError, ParameterError
from finetune_kit.readers.evidence import (
    SUPERSETS,
    ask_chardet,
    count_utf8,
    escape_encoding,
    mostly_utf8,
    non_ascii_lines,
)

T = TypeVar("T")

_PIECE_BYTES = 1 << 18
_HEAD_BYTES = 4096

# In 347 public files of 22 encodings chardet's right answers go down to 0.05; on files with one odd byte, where any
# answer is a guess, it stays under 0.03.
_THIN_CONFIDENCE = 0.04
_SURE_CONFIDENCE = 0.5
_GUESSED_CONFIDENCE = 0.99  # at most: 1.0 says that it is proven
_ESCAPED_CONFIDENCE = 0.9

_BOMS = (
    (codecs.BOM_UTF32_LE, "utf-32-le"),  # before UTF-16, whose mark it begins with
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)

_EXAMPLES = 'encoding="gb18030" (Chinese), "cp1252" (Western European), "cp932" (Japanese), "utf-16"'


@dataclass(frozen=True, slots=True)
class TextEncoding:
    """How a file's bytes become text."""

    codec: str
    confidence: float | None
    """1.0 where it is proven, None where the caller named it."""
    bom_bytes: int = 0
    notes: tuple[str, ...] = ()


def in_encoding(
    file: BufferedReader, read: Callable[[TextEncoding], T], *, path: str, encoding: str | None = None
) -> T:
    """What `read` makes of the file in the first encoding that all of it fits.

    That is the caller's encoding, else that of the byte-order mark, else UTF-8, else what the evidence says.
    `read` decodes strictly, which is the proof, so that no file is decoded twice; where a byte does not fit, another
    encoding is tried, or an `EncodingError` names line and offset.
    """
    misfit: tuple[TextEncoding, int] | None = None
    for candidate in _candidates(file, path=path, encoding=encoding):
        try:
            return read(candidate)
        except (UnicodeError, FinetuneKitError) as error:
            offset = _first_misfit(file, candidate.codec, start=candidate.bom_bytes)
            if offset is None:
                if isinstance(error, UnicodeError):
                    raise _half_character(candidate, path=path) from error
                raise  # whatever is wrong, it is not the encoding
            misfit = misfit or (candidate, offset)
    if misfit is None:
        raise EncodingError(f"{path}: the file changed while it was read. Read it again.", path=path)
    raise _misfit_error(file, *misfit, path=path)


def text_pieces(file: BufferedReader, encoding: TextEncoding) -> Iterator[str]:
    """The text in pieces, line ends untouched; `UnicodeError` at a byte that does not fit."""
    decoder = codecs.getincrementaldecoder(encoding.codec)("strict")
    file.seek(encoding.bom_bytes)
    while piece := file.read(_PIECE_BYTES):
        if text := decoder.decode(piece):
            yield text
    if text := decoder.decode(b"", final=True):
        yield text


def utf8_pieces(file: BufferedReader, encoding: TextEncoding) -> Iterator[bytes]:
    """The text as UTF-8, in pieces, for parsers of bytes; what was UTF-8 before is left for the parser to prove."""
    if encoding.codec == "utf-8":
        file.seek(encoding.bom_bytes)
        return iter(lambda: file.read(_PIECE_BYTES), b"")
    return (text.encode() for text in text_pieces(file, encoding))


def read_head(file: BufferedReader, encoding: TextEncoding, *, size: int) -> str:
    """The first characters of the text, to look at before reading it."""
    head = ""
    for text in text_pieces(file, encoding):
        head += text
        if len(head) >= size:
            break
    return head[:size]


def _candidates(file: BufferedReader, *, path: str, encoding: str | None) -> Iterator[TextEncoding]:
    file.seek(0)
    head = file.read(_HEAD_BYTES)
    if encoding is not None:
        yield _given(encoding, file, head)
        return
    for bom, codec in _BOMS:
        if head.startswith(bom):
            yield TextEncoding(codec, 1.0, bom_bytes=len(bom))
            return
    wide = _utf16_without_bom(file, head) if b"\0" in head else None
    if wide is not None:
        yield wide
        return
    looks_utf8, escaped = _first_look(file)
    if escaped is not None and _first_misfit(file, escaped) is None:
        note = f"The file is ASCII with the escape sequences of {escaped}; it was read as that."
        yield TextEncoding(escaped, _ESCAPED_CONFIDENCE, notes=(note,))
        return
    if looks_utf8:
        yield TextEncoding("utf-8", 1.0)
    offset = _first_misfit(file, "utf-8")
    if offset is not None:
        yield from _guesses(file, path=path, utf8_misfit=offset)


def _first_look(file: BufferedReader) -> tuple[bool, str | None]:
    """Whether the file is UTF-8 up to and around its first non-ASCII byte: then it mostly is, and reading proves it.

    Where it has none, also which encoding of seven bits it seems to have, if any.
    """
    file.seek(0)
    escaped: str | None = None
    while piece := file.read(_PIECE_BYTES):
        if not piece.isascii():
            try:
                codecs.getincrementaldecoder("utf-8")().decode(piece + file.read(_PIECE_BYTES))
            except UnicodeDecodeError:
                return False, None
            return True, None
        escaped = escaped or escape_encoding(piece)
    return True, escaped


def _given(encoding: str, file: BufferedReader, head: bytes) -> TextEncoding:
    try:
        codec = codecs.lookup(encoding).name
        codecs.getincrementaldecoder(codec)
        b"a".decode(codec)
    except UnicodeError:
        pass  # a text encoding; one byte is just not a character in it
    except (LookupError, ValueError) as error:
        raise ParameterError(
            f"encoding={encoding!r} is not a text encoding that Python knows. Leave it out to have it detected, "
            f"or pass for example {_EXAMPLES}.",
            parameter="encoding",
        ) from error
    codec = codecs.lookup(encoding).name
    for bom, proven in _BOMS:
        # "utf-16" and "utf-8-sig" mean whatever the mark says; a mark of another family is left to the caller's codec.
        if head.startswith(bom) and codec in (proven, proven.removesuffix("-le").removesuffix("-be"), f"{proven}-sig"):
            return TextEncoding(proven, None, bom_bytes=len(bom))
    if codec in ("utf-16", "utf-32"):  # without the mark that says which; little-endian is what Windows writes
        wide = _utf16_without_bom(file, head) if codec == "utf-16" else None
        return TextEncoding(wide.codec if wide else f"{codec}-le", None)
    return TextEncoding(codec, None)


def _utf16_without_bom(file: BufferedReader, head: bytes) -> TextEncoding | None:
    for codec, line_feed in (("utf-16-le", b"\n\0"), ("utf-16-be", b"\0\n")):
        pairs = [head[at : at + 2] for at in range(0, len(head) - 1, 2)]
        fitting = pairs.count(line_feed)
        share = fitting / max(1, head.count(b"\n"))
        # A plain text with a stray NUL has line feeds too, but none of them beside a NUL.
        if fitting and share > 0.5 and b"\0\0" not in pairs and _first_misfit(file, codec) is None:
            note = f"The file has no byte-order mark; it was read as {codec} because its line ends are."
            return TextEncoding(codec, min(1.0, share), notes=(note,))
    return None


def _first_misfit(file: BufferedReader, codec: str, *, start: int = 0) -> int | None:
    """The offset of the first byte that is not `codec`, or None when all of the file is."""
    decoder = codecs.getincrementaldecoder(codec)("strict")
    is_utf8 = codec == "utf-8"
    waiting = False
    file.seek(start)
    end = start
    while True:
        piece = file.read(_PIECE_BYTES)
        end += len(piece)
        if is_utf8 and not waiting and piece and piece.isascii():
            continue
        try:
            decoder.decode(piece, final=not piece)
        except UnicodeDecodeError as error:
            return end - len(error.object) + error.start
        except UnicodeError:
            return end - len(piece)
        if not piece:
            return None
        waiting = is_utf8 and bool(decoder.getstate()[0])


def _guesses(file: BufferedReader, *, path: str, utf8_misfit: int) -> Iterator[TextEncoding]:
    lines = non_ascii_lines(file, misfit=utf8_misfit)
    if mostly_utf8(lines):
        # Mostly UTF-8: damage in some places, not another encoding.
        raise _misfit_error(file, TextEncoding("utf-8", 1.0), utf8_misfit, path=path)
    answer, confidence = ask_chardet(lines)
    if answer is None or confidence < _THIN_CONFIDENCE:
        line = _line_at(file, TextEncoding("utf-8", None), utf8_misfit)
        if (fitting := count_utf8(lines)) and len(lines) - fitting > 1:
            raise EncodingError(
                f"{path} row {line}: the byte at offset {utf8_misfit:,} is not UTF-8, while lines before or after it "
                f"are: the file seems to be put together of parts in different encodings. Bring them to one, or pass "
                f"the encoding that you know it has: {_EXAMPLES}.",
                path=path,
                row=line,
            )
        odd = sum(not chr(byte).isascii() for line in lines for byte in line)
        raise EncodingError(
            f"{path} row {line}: the byte at offset {utf8_misfit:,} is not UTF-8, and what else it is cannot be "
            f"told from {odd} such bytes. Pass the encoding that you know it has: {_EXAMPLES}.",
            path=path,
            row=line,
        )
    for codec in SUPERSETS.get(answer, (answer,)):
        yield TextEncoding(codec, min(confidence, _GUESSED_CONFIDENCE), notes=_guess_notes(codec, confidence))


def _guess_notes(codec: str, confidence: float) -> tuple[str, ...]:
    told = min(confidence, _GUESSED_CONFIDENCE)
    note = f"The file is not UTF-8; it was read as {codec} (a guess, confidence {told:.2f})."
    if confidence < _SURE_CONFIDENCE:
        note += " Look at a few rows, and pass encoding= if they read wrongly."
    return (note,)


def _half_character(encoding: TextEncoding, *, path: str) -> EncodingError:
    return EncodingError(
        f"{path}: read as {encoding.codec}, the text holds half of a surrogate pair, which is no character. Pass the "
        f"encoding the file really has: {_EXAMPLES}.",
        path=path,
    )


def _misfit_error(file: BufferedReader, encoding: TextEncoding, offset: int, *, path: str) -> EncodingError:
    line = _line_at(file, encoding, offset)
    file.seek(offset)
    byte = file.read(1)
    what = f"the byte 0x{byte.hex()} at offset {offset:,}" if byte else f"the end of the file at offset {offset:,}"
    return EncodingError(
        f"{path} row {line}: {what} does not fit {encoding.codec}, which the file was read as. Repair that place, "
        f"or pass the encoding the file really has: {_EXAMPLES}.",
        path=path,
        row=line,
    )


def _line_at(file: BufferedReader, encoding: TextEncoding, offset: int) -> int:
    """The line, counted from 1, of the byte at `offset`; all before it is known to decode."""
    decoder = codecs.getincrementaldecoder(encoding.codec)("strict")
    newlines = io.IncrementalNewlineDecoder(None, translate=True)
    file.seek(encoding.bom_bytes)
    left, line = offset - encoding.bom_bytes, 1
    with contextlib.suppress(UnicodeError):  # a codec that fails elsewhere than it says; the line is then a lower bound
        while left > 0 and (piece := file.read(min(left, _PIECE_BYTES))):
            left -= len(piece)
            line += newlines.decode(decoder.decode(piece), final=left <= 0).count("\n")
    return line
