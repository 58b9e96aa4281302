"""A GGUF file is a base model: converted once, by what is in it; a damaged one is refused before a job is made."""

from __future__ import annotations

import struct
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
import transformers
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from finetune_kit import LocalBackend
from finetune_kit.backends.local.gguf_header import GgufHeader
from finetune_kit.backends.local.home import Home
from finetune_kit.backends.local.models import base_folder
from finetune_kit.backends.local.weights import check_gguf
from finetune_kit.errors import WeightsError
from tests.backends.local.exported import adapted, silent, write_base, written
from tests.backends.local.runs import colours


@pytest.fixture(scope="module")
def gguf_file(tiny_base: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The tiny base with an adapter merged into it."""
    folder = tmp_path_factory.mktemp("gguf")
    return written(adapted(tiny_base, folder), folder / "tiny.gguf", None, "float32")


def test_job_trains_on_a_gguf_file(gguf_file: Path, tmp_path: Path) -> None:
    backend = LocalBackend(home=tmp_path / "home", base=str(gguf_file))
    job = colours().train("davinci", backend=backend, n_epochs=1).wait(timeout_seconds=120)
    assert job.model().complete("question 1", max_tokens=4) is not None
    assert job.card.base == str(gguf_file)
    told = [event.message for event in job.events()]
    assert "converting tiny.gguf to safetensors: done" in told
    assert len(list((tmp_path / "home" / "bases").glob("gguf-*/complete"))) == 1


@pytest.mark.parametrize(
    ("kind", "more"), [("llama", {"head_dim": 32}), ("qwen2", {}), ("qwen3", {"head_dim": 32}), ("mistral", {})]
)
def test_weights_come_out_as_they_went_in(kind: str, more: dict[str, Any], tiny_base: Path, tmp_path: Path) -> None:
    exported = adapted(write_base(kind, tiny_base, tmp_path / "base", **more), tmp_path / "home")
    path = written(exported, tmp_path / "model.gguf", None, "float32")
    merged: Any = transformers.AutoModelForCausalLM.from_pretrained(
        written(exported, tmp_path / "merged", None, "float32")
    )
    folder = base_folder(Home(tmp_path / "home"), str(path), silent)
    made: Any = transformers.AutoModelForCausalLM.from_pretrained(folder)
    tokens = torch.arange(3, 40)[None]
    with torch.inference_mode():
        assert torch.allclose(made(tokens).logits, merged(tokens).logits, atol=1e-4)


def test_copy_of_a_file_is_not_converted_again(gguf_file: Path, tmp_path: Path) -> None:
    home = Home(tmp_path / "home")
    first = base_folder(home, str(gguf_file), silent)
    copy = tmp_path / "copy.gguf"
    copy.write_bytes(gguf_file.read_bytes())
    told: list[str] = []
    assert base_folder(home, str(copy), lambda what, share: told.append(what)) == first
    assert told == []


def cut(whole: bytes) -> bytes:
    return whole[:-1000]


def cut_in_the_head(whole: bytes) -> bytes:
    return whole[:500]


def other_magic(whole: bytes) -> bytes:
    return b"GGML" + whole[4:]


def other_version(whole: bytes) -> bytes:
    return whole[:4] + struct.pack("<I", 9) + whole[8:]


def huge_count(whole: bytes) -> bytes:
    return whole[:8] + struct.pack("<Q", 1 << 62) + whole[16:]


def huge_pairs(whole: bytes) -> bytes:
    return whole[:16] + struct.pack("<Q", 1 << 40) + whole[24:]


def other_kind(whole: bytes) -> bytes:
    return whole.replace(b"\x05\x00\x00\x00\x00\x00\x00\x00llama", b"\x05\x00\x00\x00\x00\x00\x00\x00mamba", 1)


def nothing(whole: bytes) -> bytes:
    return whole[:0]


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (cut, "is not whole: at least .* bytes are missing"),
        (cut_in_the_head, "has no room|in the middle of its head"),
        (other_magic, "does not begin as a GGUF file does"),
        (other_version, "is of version 9"),
        (huge_count, "claims 4,611,686,018,427,387,904 entries"),
        (huge_pairs, "claims 1,099,511,627,776 entries"),
        (other_kind, "a model of type 'mamba'"),
        (nothing, "cannot be read"),
    ],
)
def test_hostile_file_is_refused_before_a_job_is_made(
    spoil: Callable[[bytes], bytes], said: str, gguf_file: Path, tmp_path: Path
) -> None:
    path = tmp_path / "hostile.gguf"
    path.write_bytes(spoil(gguf_file.read_bytes()))
    backend = LocalBackend(home=tmp_path / "home", base=str(path))
    with pytest.raises(WeightsError, match=said):
        colours().train("davinci", backend=backend)
    assert backend.jobs() == []


def test_file_without_a_tensor_of_its_model_is_refused(gguf_file: Path, tmp_path: Path) -> None:
    """Which transformers would fill with random numbers."""
    path = tmp_path / "lacking.gguf"
    path.write_bytes(gguf_file.read_bytes().replace(b"blk.1.ffn_up.weight", b"blk.1.ffn_uq.weight", 1))
    with pytest.raises(
        WeightsError, match=r"lacks 1 tensors of its model, model\.layers\.1\.mlp\.up_proj\.weight first"
    ):
        base_folder(Home(tmp_path / "home"), str(path), silent)
    assert list((tmp_path / "home" / "bases").glob("gguf-*/*")) == []


def test_absent_file_is_told(tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match="there is no file"):
        check_gguf(str(tmp_path / "nowhere.gguf"))


def test_positions_that_transformers_would_not_read_are_refused(tiny_base: Path, tmp_path: Path) -> None:
    scaled = {"rope_type": "linear", "rope_theta": 10000.0, "factor": 4.0}
    base = write_base("llama", tiny_base, tmp_path / "base", rope_parameters=scaled)
    path = written(adapted(base, tmp_path / "home"), tmp_path / "model.gguf")
    with pytest.raises(WeightsError, match="scales its positions"):
        check_gguf(str(path))


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=300)
@given(place=st.integers(0, 12_000), put=st.binary(min_size=1, max_size=9))
def test_any_change_of_the_head_is_read_or_refused_in_little_memory(
    gguf_file: Path, tmp_path: Path, place: int, put: bytes
) -> None:
    whole = gguf_file.read_bytes()
    path = tmp_path / "changed.gguf"
    path.write_bytes(whole[:place] + put + whole[place + len(put) :])
    tracemalloc.start()
    try:
        GgufHeader.read(path).check()
    except WeightsError:
        pass
    finally:
        _, most = tracemalloc.get_traced_memory()
        tracemalloc.stop()
    assert most < 20_000_000
