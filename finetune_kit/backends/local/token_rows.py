"""A file's rows as tokens, kept on disk by what they were made of, so that a second job on the file makes them no more.

One file of the cache: for each token four bytes, its number with what it counts for in the two highest bits; for each
row eight bytes, where it ends; a digest of all that. A preference pair is two rows, the preferred answer first. It is
memory-mapped, so rows take no memory until they are used.
"""

from __future__ import annotations

import hashlib
import json
import mmap
import os
import sys
import time
from array import array
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import chain, pairwise
from pathlib import Path
from typing import BinaryIO, overload

import orjson

from finetune_kit._version import __version__
from finetune_kit.backends.local.encoding import Encoder
from finetune_kit.backends.local.home import Home
from finetune_kit.backends.local.packing import Encoded
from finetune_kit.errors import EngineError

CACHE_BYTES = 2 * 1024**3
"""The cache is cut down to so much, the rows that were not used for the longest time first."""
_MAGIC = b"ftkrows1"
_TOKEN_BITS = 30
_PROMPT = -1.0
"""Stands for the weight of prompts while rows are made: it is decided later, and may differ between jobs."""
_CLASSES = (0.0, 1.0, _PROMPT)
_DIGEST_SIZE = 32
_SHOWN_FAULTS = 5
_TOLD_SECONDS = 0.5


@dataclass(frozen=True, slots=True)
class TokenRows(Sequence[Encoded]):
    """Rows in a memory-mapped file, made into `Encoded` when they are asked for."""

    words: memoryview
    ends: memoryview
    prompt_loss_weight: float = 0.0

    def __len__(self) -> int:
        return len(self.ends)

    @overload
    def __getitem__(self, index: int) -> Encoded: ...
    @overload
    def __getitem__(self, index: slice) -> list[Encoded]: ...
    def __getitem__(self, index: int | slice) -> Encoded | list[Encoded]:
        if isinstance(index, slice):
            return [self[place] for place in range(*index.indices(len(self)))]
        place = range(len(self))[index]
        words = self.words[self.ends[place - 1] if place else 0 : self.ends[place]].tolist()
        weights = (0.0, 1.0, self.prompt_loss_weight)
        mask = (1 << _TOKEN_BITS) - 1
        return Encoded(tuple(word & mask for word in words), tuple(weights[word >> _TOKEN_BITS] for word in words))

    @property
    def longest_tokens(self) -> int:
        """Of the longest row; 0 where there is none."""
        return max((end - begin for begin, end in pairwise(chain((0,), self.ends))), default=0)

    def weighted(self, prompt_loss_weight: float) -> TokenRows:
        """The same rows with this weight for the tokens of prompts."""
        return replace(self, prompt_loss_weight=prompt_loss_weight)


def token_rows(home: Home, path: Path, encoder: Encoder, *, what: str, heard: Callable[[float], None]) -> TokenRows:
    """The rows of the file at `path`, from the cache or made now; prompts weigh 0 until `weighted` says more.

    `heard` is told twice a second how far it is, and may raise to stop. `EngineError` lists rows of `what` that cannot
    be trained on.
    """
    folder = home.root / "tokens"
    cached = folder / f"{_key(path, encoder)}.rows"
    rows = _read(cached)
    if rows is not None:
        return rows
    with home.writing(folder):
        home.make(folder)
        for part in folder.glob("*.part"):  # of a process that died; only one at a time makes rows
            part.unlink(missing_ok=True)
        part = cached.with_suffix(".part")
        try:
            with part.open("wb") as into:
                _write(into, path, replace(encoder, prompt_loss_weight=_PROMPT), what, heard)
            part.replace(cached)
        finally:
            part.unlink(missing_ok=True)
        _cut(folder, keep=cached)
    rows = _read(cached)
    if rows is None:
        raise EngineError(f"the tokens of the {what} were written to {cached} and cannot be read back: check the disk.")
    return rows


def _key(path: Path, encoder: Encoder) -> str:
    """Of the file's bytes and all that turns them into tokens."""
    with path.open("rb") as file:
        content = hashlib.file_digest(file, "sha256").hexdigest()
    tokenizer = encoder.tokenizer
    fast = getattr(tokenizer, "backend_tokenizer", None)
    facts = [
        _MAGIC.decode(),
        __version__,
        sys.byteorder,
        content,
        type(tokenizer).__name__,
        fast.to_str() if fast is not None else sorted(tokenizer.get_vocab().items()),
        str(tokenizer.chat_template),
        list(tokenizer.all_special_tokens),
        tokenizer.eos_token_id,
        encoder.max_tokens,
    ]
    return hashlib.sha256(json.dumps(facts).encode()).hexdigest()


def _write(into: BinaryIO, path: Path, encoder: Encoder, what: str, heard: Callable[[float], None]) -> None:
    class_of = {weight: number << _TOKEN_BITS for number, weight in enumerate(_CLASSES)}
    digest = hashlib.blake2b(digest_size=_DIGEST_SIZE)
    ends = array("Q")
    end, told, faults = 0, time.monotonic(), list[str]()

    def put(data: bytes) -> None:
        digest.update(data)
        into.write(data)

    heard(0.0)
    for number, (line, share) in enumerate(_lines(path), start=1):
        try:
            made = encoder.rows(orjson.loads(line))
        except (EngineError, orjson.JSONDecodeError) as error:
            faults.append(f"line {number}: {error}" if isinstance(error, EngineError) else f"line {number} is no JSON.")
            continue
        for row in made:
            put(array("I", (t | class_of[w] for t, w in zip(row.tokens, row.weights, strict=True))).tobytes())
            end += len(row.tokens)
            ends.append(end)
        if time.monotonic() - told >= _TOLD_SECONDS:
            told = time.monotonic()
            heard(share)
    if faults:
        more = f" (and {len(faults) - _SHOWN_FAULTS} more)" if len(faults) > _SHOWN_FAULTS else ""
        raise EngineError(f"the {what} cannot be trained on. {' '.join(faults[:_SHOWN_FAULTS])}{more}")
    put(b"\0" * (-4 * end % 8))
    put(ends.tobytes())
    put(array("Q", [end, len(ends)]).tobytes())
    into.write(digest.digest() + _MAGIC)
    into.flush()
    os.fsync(into.fileno())
    heard(1.0)


def _lines(path: Path) -> Iterator[tuple[bytes, float]]:
    """Each line with the share of the file that was read by then."""
    size = path.stat().st_size
    done = 0
    with path.open("rb") as file:
        for piece in file:
            done += len(piece)
            for line in piece.splitlines():
                yield line, done / size


def _read(path: Path) -> TokenRows | None:
    """The rows of one file of the cache; none where it is not there or not as it was written."""
    try:
        with path.open("rb") as file:
            mapped = memoryview(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ))
    except (OSError, ValueError):  # absent, or empty
        return None
    tail = _DIGEST_SIZE + len(_MAGIC)
    body = mapped[:-tail]
    if len(mapped) < tail + 16 or bytes(mapped[-len(_MAGIC) :]) != _MAGIC or len(body) % 8:
        return None
    if hashlib.blake2b(body, digest_size=_DIGEST_SIZE).digest() != bytes(mapped[-tail : -len(_MAGIC)]):
        return None
    tokens, rows = body[-16:].cast("Q")
    starts = len(body) - 16 - 8 * rows
    if starts < 0 or not 0 <= 4 * tokens <= starts:
        return None
    path.touch()  # used just now
    return TokenRows(body[: 4 * tokens].cast("I"), body[starts:-16].cast("Q"))


def _cut(folder: Path, *, keep: Path) -> None:
    """Bring the cache below its limit."""
    files = sorted(folder.glob("*.rows"), key=lambda file: file.stat().st_mtime)
    size = sum(file.stat().st_size for file in files)
    for file in files:
        if size <= CACHE_BYTES:
            break
        if file != keep:
            size -= file.stat().st_size
            file.unlink(missing_ok=True)
