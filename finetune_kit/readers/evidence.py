"""What a file that is not UTF-8 says about its encoding: its non-ASCII lines, and chardet's opinion of them.

A detector reads a prefix, so that a file whose first such byte stands in its last megabyte is "ASCII" to it. These
windows are spread over the whole file.
"""

from __future__ import annotations

import codecs
import io
import re
from io import BufferedReader

_WINDOWS = 48
_WINDOW_BYTES = 4096
_SEARCHED_BYTES = 4 << 20  # for each window, so that memory stays flat; the first misfit is looked at in any case

# What detectors say, and what people's files really hold: the superset that their programs write.
SUPERSETS = {
    "ascii": ("cp1252",),
    "gb2312": ("gb18030",),
    "gbk": ("gb18030",),
    "big5": ("cp950", "big5hkscs"),
    "shift_jis": ("cp932",),
    "euc_kr": ("cp949",),
    "iso8859-1": ("cp1252",),
}

_ESCAPES = (
    (b"\x1b$)C", "iso2022_kr"),
    (b"\x1b$B", "iso2022_jp_ext"),
    (b"\x1b$@", "iso2022_jp_ext"),
    (b"\x1b(I", "iso2022_jp_ext"),
)
_HZ = re.compile(rb"~\{((?:[\x21-\x77][\x21-\x7e])+)~\}")
_HZ_COMMON = bytes([*range(0x21, 0x24), *range(0x30, 0x58)])
_HZ_STRETCHES, _HZ_SHARE = 2, 0.8

_NON_ASCII = re.compile(rb"[\x80-\xff]")
# Bytes that are never the second half of a character in any multi-byte encoding here.
_SAFE_CUT = re.compile(rb"[\n\r\x20-\x2f][^\n\r\x20-\x2f]*\Z")


def ask_chardet(lines: list[bytes]) -> tuple[str | None, float]:
    """Python's name of the encoding that chardet sees in these lines, or None, and its confidence."""
    import chardet  # a tenth of a second, for files that need it only

    answer = chardet.detect(b"\n".join(lines))
    name, confidence = answer["encoding"], answer["confidence"]
    try:
        codec = codecs.lookup(name).name if name else None
    except LookupError:
        codec = None
    # Wide encodings were ruled out before, and decode almost any bytes without an error.
    if codec is not None and codec.startswith(("utf-16", "utf-32")):
        codec = None
    return codec, float(confidence or 0.0)


def non_ascii_lines(file: BufferedReader, *, misfit: int) -> list[bytes]:
    """Lines with non-ASCII bytes from windows spread over the whole file, and from where it stopped being UTF-8."""
    size = file.seek(0, io.SEEK_END)
    step = max(_WINDOW_BYTES, -(-size // _WINDOWS))
    starts = [*range(0, size, step)]
    if step > _SEARCHED_BYTES:
        starts.append(max(0, misfit - _WINDOW_BYTES))
    lines: list[bytes] = []
    for start in starts:
        file.seek(start)
        window = _window(file.read(min(step, _SEARCHED_BYTES)), at_start=start == 0)
        lines += [line for line in window.splitlines() if not line.isascii()]
    return lines


def _window(piece: bytes, *, at_start: bool) -> bytes:
    # A piece may begin inside a character; after a line end it cannot.
    begin = 0 if at_start else piece.find(b"\n") + 1
    found = _NON_ASCII.search(piece, begin)
    if found is None:
        return b""
    begin = max(begin, piece.rfind(b"\n", begin, found.start()) + 1, found.start() - _WINDOW_BYTES // 2)
    window = piece[begin : begin + _WINDOW_BYTES]
    if begin + len(window) == len(piece) and len(piece) < _WINDOW_BYTES:
        return window  # the file's end: nothing is cut
    cut = _SAFE_CUT.search(window)
    return window[: cut.start()] if cut and _NON_ASCII.search(window, 0, cut.start()) else window


def mostly_utf8(lines: list[bytes]) -> bool:
    """Whether more than half of the lines are UTF-8 by themselves: then the file is, and is damaged somewhere."""
    return count_utf8(lines) * 2 > len(lines)


def count_utf8(lines: list[bytes]) -> int:
    """How many of the lines are UTF-8 by themselves."""
    return sum(map(_is_utf8, lines))


def escape_encoding(piece: bytes) -> str | None:
    """The encoding of seven bits whose escape sequences stand in a piece of ASCII, if they do."""
    if b"\x1b" in piece:
        return next((codec for escape, codec in _ESCAPES if escape in piece), None)
    if b"~{" in piece:
        stretches = _HZ.findall(piece)
        firsts = b"".join(stretches)[::2]
        # In Chinese nearly all first bytes are of punctuation and common characters; no English word has such letters.
        common = len(firsts) - len(firsts.translate(None, _HZ_COMMON))
        if len(stretches) >= _HZ_STRETCHES and common >= _HZ_SHARE * len(firsts):
            return "hz"
    return None


def _is_utf8(line: bytes) -> bool:
    try:
        line.decode("utf-8")
    except UnicodeDecodeError:
        return False
    return True
