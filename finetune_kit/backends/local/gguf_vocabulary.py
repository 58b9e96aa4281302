"""A tokenizer as GGUF describes it: llama.cpp has its own code for each kind, and knows them by name."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast

import orjson

from finetune_kit.errors import WeightsError

_NORMAL, _CONTROL, _USER_DEFINED, _UNUSED = 1, 3, 4, 5
"""Types of tokens, by llama.cpp's header llama.h."""
_SPLITS = {
    "gpt-2": r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+",
    "llama-bpe": (
        r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}"
        r"| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
    ),
    "qwen2": (
        r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}"
        r"| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
    ),
}
"""How text is cut before its bytes are joined to tokens, and llama.cpp's names for that (llama-vocab.cpp)."""


@dataclass(frozen=True, slots=True)
class Vocabulary:
    """What GGUF stores of a byte-level tokenizer."""

    tokens: tuple[str, ...]
    """One for each row of the model's embedding."""
    types: tuple[int, ...]
    merges: tuple[str, ...]
    pre: str
    """llama.cpp's name for how text is cut into words."""

    @classmethod
    def of(cls, tokenizer: Any, *, rows: int) -> Vocabulary:
        """The vocabulary of a tokenizer of transformers, for an embedding of `rows` tokens.

        `WeightsError` where llama.cpp has no word for how it cuts text.
        """
        told = _told(tokenizer)
        tokens: list[str | None] = [None] * rows
        types = [_NORMAL] * rows
        for text, number in cast("dict[str, int]", tokenizer.get_vocab()).items():
            if not 0 <= number < rows:
                raise WeightsError(
                    f"its tokenizer has a token of number {number:,}, and its embedding {rows:,} rows: they are not of "
                    "one model. Take the tokenizer that came with the base model."
                )
            tokens[number] = text
        for added in told.get("added_tokens", ()):
            types[added["id"]] = _CONTROL if added["special"] else _USER_DEFINED
        types = [_UNUSED if text is None else kind for text, kind in zip(tokens, types, strict=True)]
        merges = (one if isinstance(one, str) else " ".join(one) for one in told["model"]["merges"])
        named = tuple(f"[PAD{number}]" if text is None else text for number, text in enumerate(tokens))
        return cls(named, tuple(types), tuple(merges), _pre(told["pre_tokenizer"]))


def _told(tokenizer: Any) -> Mapping[str, Any]:
    backend = getattr(tokenizer, "backend_tokenizer", None)
    told: dict[str, Any] = {} if backend is None else orjson.loads(backend.to_str())
    model = told.get("model", {})
    if model.get("type") != "BPE" or model.get("byte_fallback"):
        raise _unknown(f"is of type {model.get('type') or type(tokenizer).__name__}, not byte-level BPE")
    return told


def _pre(step: Mapping[str, Any] | None) -> str:
    steps: Sequence[Mapping[str, Any]] = [] if step is None else step.get("pretokenizers", [step])
    kinds = [one["type"] for one in steps]
    last = steps[-1] if steps else {}
    if not kinds or kinds[-1] != "ByteLevel" or last.get("add_prefix_space"):
        raise _unknown("does not cut text as byte-level ones do")
    if kinds == ["ByteLevel"] and last.get("use_regex", True):
        return "gpt-2"
    if kinds == ["Digits", "ByteLevel"] and steps[0]["individual_digits"] and last.get("use_regex", True):
        return "smollm"
    if kinds == ["Split", "ByteLevel"] and not last.get("use_regex", True):
        pattern = steps[0]["pattern"].get("Regex")
        name = next((name for name, known in _SPLITS.items() if known == pattern), None)
        if name is not None and steps[0]["behavior"] == "Isolated" and not steps[0]["invert"]:
            return name
    raise _unknown("cuts text in a way that is not among those known here")


def _unknown(what: str) -> WeightsError:
    return WeightsError(
        f"its tokenizer {what}, for which llama.cpp's name is not known here. Export format='safetensors', and convert "
        "that folder with llama.cpp's own convert_hf_to_gguf.py."
    )
