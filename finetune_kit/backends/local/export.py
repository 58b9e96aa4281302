"""A model of the engine for other programs: its adapter, merged weights, or one GGUF file; whole or not at all."""

from __future__ import annotations

import errno
import json
import os
import secrets
import shutil
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast, get_args

from finetune_kit._home import LEAST_FREE_BYTES
from finetune_kit._progress import Progress
from finetune_kit._quoting import shown
from finetune_kit.backends.local.bases import named
from finetune_kit.backends.local.gguf_file import GgufModel, check_config
from finetune_kit.backends.local.home import Home, writing_tensors
from finetune_kit.backends.local.models import Loaded, base_folder, load_base, merge_adapter
from finetune_kit.backends.protocol import ExportDtype, ExportFormat
from finetune_kit.cards import ModelCard
from finetune_kit.errors import FinetuneKitError, ParameterError, StorageError, WeightsError

_SUFFIX = ".gguf"
_OTHER_BYTES = 32_000_000
"""Room for what stands beside the weights, such as a tokenizer of 256,000 tokens."""
_ADAPTER = ("adapter_config.json", "adapter_model.safetensors")


@dataclass(frozen=True, slots=True, kw_only=True)
class Exported:
    """Which model is exported."""

    home: Home
    name: str
    base: str
    folder: Path | None
    """With its adapter, or with whole weights; None for a base model."""
    card: ModelCard

    @property
    def adapted(self) -> bool:
        """Whether it is an adapter beside its base."""
        return self.folder is not None and (self.folder / _ADAPTER[0]).is_file()

    def to(self, path: object, *, format: object, dtype: object, progress: Progress) -> Path:  # noqa: A002 - the public word
        """Write it, and return where; see `ModelClient.export`."""
        target, kind, numbers = _target(path), _format(path, format), _dtype(dtype)
        if kind == "peft":
            self._check_adapter(numbers)
        if kind == "safetensors" and numbers == "q8_0":
            raise ParameterError(
                "dtype='q8_0' is a type of GGUF. Give format='gguf', or another dtype.", parameter="dtype"
            )
        with _part(target) as part:
            if kind == "peft":
                self._write_adapter(part, progress)
            else:
                loaded = self._merged(numbers, progress)
                tokenizer = self._as_trained(loaded.encoder.tokenizer)
                if kind == "gguf":
                    check_config(loaded.model.config)
                    self._write_gguf(part, loaded, tokenizer, numbers)
                else:
                    self._write_merged(part, loaded, tokenizer, numbers)
        return target

    def _check_adapter(self, dtype: ExportDtype | None) -> None:
        if not self.adapted:
            raise ParameterError(
                f"format='peft': {self.name} has no adapter. Export it as 'safetensors' or 'gguf'.", parameter="format"
            )
        if dtype is not None:
            raise ParameterError(
                f"dtype={dtype!r}: an adapter is copied as it was trained. Leave dtype out.", parameter="dtype"
            )

    def _write_adapter(self, part: Path, progress: Progress) -> None:
        import transformers

        assert self.folder is not None
        where, revision = named(base_folder(self.home, self.base, progress))
        tokenizer = transformers.AutoTokenizer.from_pretrained(
            where, revision=revision or "main", trust_remote_code=False
        )
        part.mkdir()
        shutil.copyfile(self.folder / _ADAPTER[1], part / _ADAPTER[1])
        config = json.loads((self.folder / _ADAPTER[0]).read_text(encoding="utf-8"))
        config |= {"base_model_name_or_path": where, "revision": revision, "inference_mode": True}
        (part / _ADAPTER[0]).write_text(json.dumps(config, indent=2), encoding="utf-8")
        self._as_trained(tokenizer).save_pretrained(part)
        self._write_papers(part, f"PeftModel.from_pretrained(base, FOLDER) on the base model {where}")

    def _merged(self, dtype: ExportDtype | None, progress: Progress) -> Loaded:
        """The weights as they are stored, or in float32 where that is asked for, with the adapter added in float32."""
        import torch

        numbers = torch.float32 if dtype == "float32" else "auto"
        where = self.base if self.folder is None or self.adapted else str(self.folder)
        loaded = load_base(self.home, where, device="cpu", packed=False, progress=progress, dtype=numbers)
        if self.folder is not None and self.adapted:
            merge_adapter(loaded, self.folder, exact=True)
        return loaded

    def _as_trained(self, tokenizer: Any) -> Any:
        """The tokenizer and its chat template as the model was trained with them.

        Nothing is put in front of a prompt, and the message of whoever asks a model of prompts and completions is laid
        out as its prompts were.
        """
        if tokenizer.encode("a") != tokenizer.encode("a", add_special_tokens=False):
            from tokenizers.processors import ByteLevel

            tokenizer.backend_tokenizer.post_processor = ByteLevel(trim_offsets=False)  # adds nothing
        template = self.card.template
        if template is not None:
            separator = json.dumps(template.separator, ensure_ascii=False)
            tokenizer.chat_template = "{{ messages[-1]['content'] }}{{ " + separator + " }}"
        return tokenizer

    def _write_merged(self, part: Path, loaded: Loaded, tokenizer: Any, dtype: ExportDtype | None) -> None:
        import torch
        from transformers import GenerationConfig

        model = loaded.model
        if dtype is not None:
            model.to(getattr(torch, dtype))
            if not all(bool(one.isfinite().all()) for one in model.parameters()):
                raise WeightsError(f"{self.name} has numbers too large for {dtype}. Take dtype='bfloat16'.")
        self._check_space(part, sum(one.numel() * one.element_size() for one in model.parameters()))
        # What the base was sampled with, such as a penalty of repetitions, would change what the model learned to say.
        model.generation_config = GenerationConfig(
            bos_token_id=tokenizer.bos_token_id, eos_token_id=loaded.encoder.end, pad_token_id=tokenizer.pad_token_id
        )
        with writing_tensors():
            model.save_pretrained(part)
        tokenizer.save_pretrained(part)
        self._write_papers(part, "AutoModelForCausalLM.from_pretrained(FOLDER)")

    def _write_gguf(self, part: Path, loaded: Loaded, tokenizer: Any, dtype: ExportDtype | None) -> None:
        stored = str(loaded.model.dtype).removeprefix("torch.")
        model = GgufModel(
            model=loaded.model,
            tokenizer=tokenizer,
            name=self.name,
            description=self._about(),
            dtype=dtype or cast("ExportDtype", stored if stored in get_args(ExportDtype) else "float32"),
        )
        self._check_space(part, model.size_bytes)
        model.write(part)

    def _check_space(self, part: Path, size_bytes: int) -> None:
        needed, free = size_bytes + _OTHER_BYTES, shutil.disk_usage(part.parent).free
        if free < needed:
            raise StorageError(
                f"{self.name} needs about {needed // 10**6} MB at {part.parent}, where {free // 10**6} MB are free. "
                "Free some space, or export to another disk."
            )

    def _write_papers(self, part: Path, loads: str) -> None:
        (part / "card.json").write_text(self.card.model_dump_json(indent=2), encoding="utf-8")
        text = f"# {self.name}\n\n{self._about()}\n\nIt loads with `{loads}`; `card.json` says how it was trained.\n"
        (part / "README.md").write_text(text, encoding="utf-8")

    def _about(self) -> str:
        """What it is, and how it is asked, in sentences."""
        what = f"Fine-tuned from {self.base} by finetune_kit." if self.folder is not None else f"{self.base}."
        template = self.card.template
        if template is None:
            return f"{what} It takes messages, laid out by its chat template."
        stop = f" and ends its answer with {template.stop!r}" if template.stop else ""
        return (
            f"{what} It takes a prompt followed by {template.separator!r}{stop}; its chat template lays out the last "
            "message so. Answer greedily (temperature 0) for the same text as here."
        )


def _target(path: object) -> Path:
    """The absolute path, where nothing stands yet but perhaps an empty folder."""
    if not isinstance(path, str | os.PathLike) or not os.fspath(cast("str | os.PathLike[str]", path)):
        raise ParameterError(f"path={shown(path)}: give a folder, or a file that ends in {_SUFFIX}.", parameter="path")
    try:
        target = Path(os.fsdecode(cast("str | os.PathLike[str]", path))).expanduser().absolute()
        if "\0" in str(target):
            raise ValueError("it holds a NUL byte")
        taken = target.is_symlink() or (any(target.iterdir()) if target.is_dir() else target.exists())
    except (OSError, ValueError, RuntimeError) as error:  # RuntimeError: ~nobody
        raise ParameterError(f"path={shown(path)} cannot be used: {error}.", parameter="path") from error
    if taken:
        raise ParameterError(
            f"path={shown(path)} exists already, and nothing is overwritten. Name a new one, or an empty folder.",
            parameter="path",
        )
    return target


def _format(path: object, given: object) -> ExportFormat:
    file = os.fsdecode(cast("str | os.PathLike[str]", path)).lower().endswith(_SUFFIX)
    if given is None:
        return "gguf" if file else "safetensors"
    if given not in get_args(ExportFormat):
        names = ", ".join(map(repr, get_args(ExportFormat)))
        raise ParameterError(f"format={shown(given)}: give one of {names}.", parameter="format")
    if file != (given == "gguf"):
        wanted = f"a file that ends in {_SUFFIX}" if given == "gguf" else "a folder"
        raise ParameterError(f"path={shown(path)}: format={given!r} makes {wanted}. Name one.", parameter="path")
    return cast("ExportFormat", given)


def _dtype(given: object) -> ExportDtype | None:
    if given is None or given in get_args(ExportDtype):
        return cast("ExportDtype | None", given)
    names = ", ".join(map(repr, get_args(ExportDtype)))
    raise ParameterError(f"dtype={shown(given)}: give one of {names}, or leave it out.", parameter="dtype")


@contextmanager
def _part(target: Path) -> Generator[Path]:
    """A name beside the target for what is written; it takes the target's name at the end, and goes at an error."""
    part = target.with_name(f".{target.name[:100]}.{secrets.token_hex(6)}.part")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        yield part
        if target.is_dir():
            target.rmdir()  # an empty one: Windows renames onto none
        part.rename(target)
    except FinetuneKitError:
        raise
    except OSError as error:
        raise _storage_error(error, target) from error
    finally:
        if part.is_dir():
            shutil.rmtree(part, ignore_errors=True)
        elif part.is_file():
            part.unlink()


def _storage_error(error: OSError, target: Path) -> StorageError:
    # Some writers, such as numpy's, do not tell why.
    full = error.errno in (errno.ENOSPC, errno.EDQUOT) or shutil.disk_usage(_there(target)).free < LEAST_FREE_BYTES
    if full:
        return StorageError(f"no space is left on the disk that holds {target}. Free some, or export to another disk.")
    return StorageError(
        f"{target} cannot be written: {error.strerror or error}. Check the folder, its rights and the space there."
    )


def _there(path: Path) -> Path:
    return next((folder for folder in path.parents if folder.is_dir()), path)
