"""The head of a GGUF file, read in little memory whatever it claims, so that a damaged file is refused early."""

from __future__ import annotations

import mmap
import struct
from collections.abc import Mapping
from dataclasses import dataclass, field
from math import prod
from pathlib import Path

from finetune_kit._extras import require
from finetune_kit.errors import WeightsError

READABLE = ("llama", "qwen2", "qwen3")
"""Architectures whose weights transformers reads from GGUF as they are, by test."""
_VERSIONS = (2, 3)
_SIZES = {0: "<B", 1: "<b", 2: "<H", 3: "<h", 4: "<I", 5: "<i", 6: "<f", 7: "<?", 10: "<Q", 11: "<q", 12: "<d"}
_STRING, _ARRAY = 8, 9
_LONGEST_NAME = 65_535
_LONGEST_TEXT = 1 << 22
_MOST_DIMENSIONS = 4

Value = str | int | float | bool


@dataclass(frozen=True, slots=True)
class GgufHeader:
    """What stands in front of the weights."""

    path: Path
    values: Mapping[str, Value]
    """Single values; of an array, how long it is."""
    shapes: Mapping[str, tuple[int, ...]]
    """Of each tensor, as torch has it."""
    types: Mapping[str, int]

    @classmethod
    def read(cls, path: Path) -> GgufHeader:
        """Check a file as far as that goes without its weights; `WeightsError` says what is wrong with it."""
        try:
            with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
                return _Reader(path, content).header()
        except WeightsError:
            raise
        except (OSError, ValueError) as error:  # ValueError: an empty file
            raise WeightsError(f"the GGUF file {path} cannot be read: {error}. Copy or download it again.") from error

    def check(self) -> None:
        """Raise `WeightsError` for a model that would be read wrongly, or not at all."""
        kind = self.values.get("general.architecture")
        if kind not in READABLE:
            why = f"holds a model of type {kind!r}, and only {', '.join(READABLE)} are read from GGUF"
        elif "rope_freqs.weight" in self.shapes or self.values.get(f"{kind}.rope.scaling.type", "none") != "none":
            why = "scales its positions, which transformers does not read from GGUF"
        elif kind == "llama" and any(name.endswith((".attn_q.bias", ".ffn_up.bias")) for name in self.shapes):
            why = "has biases, which transformers does not read from GGUF for this type"
        elif f"{kind}.expert_count" in self.values:
            why = "is a mixture of experts, which is not read from GGUF here"
        elif not self._hangs_together(str(kind)):
            why = "tells sizes that do not fit its tensors, so it is damaged"
        else:
            return
        raise WeightsError(f"{self.path} {why}. Give base= the same model as a folder with safetensors.")

    def _hangs_together(self, kind: str) -> bool:
        width, layers = self.values.get(f"{kind}.embedding_length"), self.values.get(f"{kind}.block_count")
        embedding = self.shapes.get("token_embd.weight", ())
        rows = self.values.get("tokenizer.ggml.tokens")
        whole = isinstance(layers, int) and 0 < layers <= len(self.shapes)
        return whole and len(embedding) == 2 and embedding[1] == width and embedding[0] == rows


@dataclass(slots=True)
class _Reader:
    path: Path
    content: mmap.mmap
    place: int = 0
    values: dict[str, Value] = field(default_factory=dict[str, Value])
    shapes: dict[str, tuple[int, ...]] = field(default_factory=dict[str, tuple[int, ...]])
    types: dict[str, int] = field(default_factory=dict[str, int])

    def header(self) -> GgufHeader:
        if self.content[:4] != b"GGUF":
            raise self._fault("does not begin as a GGUF file does")
        self.place = 4
        version = self._number("<I")
        if version not in _VERSIONS:
            raise self._fault(f"is of version {version}, and versions 2 and 3 are read")
        tensors, pairs = self._count(24), self._count(13)
        for _ in range(pairs):
            self._pair()
        ends = [self._tensor() for _ in range(tensors)]
        alignment = self.values.get("general.alignment", 32)
        if not isinstance(alignment, int) or not 0 < alignment <= 1 << 20:
            raise self._fault(f"tells an alignment of {alignment!r}")
        start = -(-self.place // alignment) * alignment
        if start + max(ends, default=0) > len(self.content):
            missing = start + max(ends) - len(self.content)
            raise self._fault(f"is not whole: at least {missing:,} bytes are missing at its end")
        return GgufHeader(self.path, self.values, self.shapes, self.types)

    def _pair(self) -> None:
        name = self._text(_LONGEST_NAME)
        if name in self.values:
            raise self._fault(f"tells {name[:100]!r} twice")
        self.values[name] = self._value(int(self._number("<I")))

    def _value(self, kind: int) -> Value:
        if kind in _SIZES:
            return self._number(_SIZES[kind])
        if kind == _STRING:
            return self._text(_LONGEST_TEXT)
        if kind != _ARRAY:
            raise self._fault(f"holds a value of the unknown type {kind}")
        inner = int(self._number("<I"))
        if inner in _SIZES:
            size = struct.calcsize(_SIZES[inner])
            length = self._count(size)
            self.place += length * size
        elif inner == _STRING:
            length = self._count(8)
            for _ in range(length):
                size = self._count(1)
                self.place += size
        else:
            raise self._fault(f"holds a list of the unknown type {inner}")
        return length

    def _tensor(self) -> int:
        """Where it ends, from the start of the weights."""
        gguf = require("gguf", extra="local", purpose="Reading a GGUF file")
        name, dimensions = self._text(_LONGEST_NAME), int(self._number("<I"))
        if name in self.shapes or not 0 < dimensions <= _MOST_DIMENSIONS:
            raise self._fault(f"describes the tensor {name[:100]!r} wrongly")
        shape = tuple(int(self._number("<Q")) for _ in range(dimensions))[::-1]
        kind, offset = int(self._number("<I")), int(self._number("<Q"))
        try:
            sizes: tuple[int, int] = gguf.GGML_QUANT_SIZES[gguf.GGMLQuantizationType(kind)]
        except (ValueError, KeyError) as error:
            raise self._fault(f"stores the tensor {name[:100]!r} as the unknown type {kind}") from error
        self.shapes[name], self.types[name] = shape, kind
        return offset + -(-prod(shape) // sizes[0]) * sizes[1]

    def _number(self, form: str) -> int | float:
        size = struct.calcsize(form)
        if self.place + size > len(self.content):
            raise self._fault("ends in the middle of its head")
        [value] = struct.unpack_from(form, self.content, self.place)
        self.place += size
        return value  # type: ignore[no-any-return]

    def _count(self, least_bytes: int) -> int:
        """A number of things that take at least so many bytes each: no more than the file has room for."""
        count = int(self._number("<Q"))
        if count * least_bytes > len(self.content) - self.place:
            raise self._fault(f"claims {count:,} entries or bytes, for which it has no room")
        return count

    def _text(self, longest: int) -> str:
        length = self._count(1)
        if length > longest:
            raise self._fault(f"holds a text of {length:,} bytes where at most {longest:,} make sense")
        self.place += length
        return self.content[self.place - length : self.place].decode("utf-8", errors="replace")

    def _fault(self, what: str) -> WeightsError:
        return WeightsError(f"the GGUF file {self.path} {what}. Copy or download it again.")
