"""An exported model says in other programs what it says here, and stands on the disk as a whole or not at all."""

from __future__ import annotations

import json
import resource
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
import transformers
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from finetune_kit import Dataset, LocalBackend, ModelClient
from finetune_kit.backends import ExportDtype, ExportFormat
from finetune_kit.backends.local.export import Exported
from finetune_kit.errors import BackendError, ParameterError, StorageError, WeightsError
from finetune_kit.testing import MemoryBackend
from tests.backends.local.exported import (
    PROMPTS,
    TEMPLATE,
    adapted,
    ours,
    read_gguf,
    read_peft,
    read_safetensors,
    silent,
    theirs,
    write_base,
    written,
)

COLOURS = ("red", "green", "blue", "yellow")
QUESTIONS = [f"{colour} 3" for colour in COLOURS]
ANSWERS = [colour[::-1] for colour in COLOURS]
LLAMA3 = {
    "rope_type": "llama3",
    "rope_theta": 10000.0,
    "factor": 8.0,
    "low_freq_factor": 1.0,
    "high_freq_factor": 4.0,
    "original_max_position_embeddings": 64,
}


@pytest.fixture(scope="module")
def learned(tiny_base: Path, tmp_path_factory: pytest.TempPathFactory) -> ModelClient:
    """A model that learned to spell colours backwards, so surely that rounding does not change its answers."""
    rows = [(f"{colour} {number}", colour[::-1]) for colour in COLOURS for number in range(10)]
    backend = LocalBackend(home=tmp_path_factory.mktemp("home"), base=str(tiny_base))
    split = Dataset.from_records(rows).split(0.8)
    job = split.train("davinci", backend=backend, n_epochs=40, batch_size=8, learning_rate_multiplier=0.2)
    return job.wait(timeout_seconds=120).model()


@pytest.fixture
def tiny(tiny_base: Path, tmp_path: Path) -> Exported:
    """The tiny base with an adapter that was not trained."""
    return adapted(tiny_base, tmp_path / "home")


def answers(model: Any, tokenizer: Any) -> list[str]:
    assert TEMPLATE.separator == " ->"
    said = theirs(model, tokenizer, [TEMPLATE.prompt(question) for question in QUESTIONS])
    return [TEMPLATE.parse(text) for text in said]


@pytest.mark.parametrize(
    ("file", "form", "dtype"),
    [
        ("model", None, None),
        ("model", "safetensors", "float16"),
        ("model", None, "float32"),
        ("model.gguf", None, None),
        ("model.gguf", "gguf", "float16"),
        ("model.gguf", None, "float32"),
        ("model.gguf", None, "q8_0"),
        ("adapter", "peft", None),
    ],
)
def test_what_a_model_learned_it_says_in_its_consumers(
    file: str, form: ExportFormat | None, dtype: ExportDtype | None, learned: ModelClient, tmp_path: Path
) -> None:
    assert learned.complete_many(QUESTIONS) == ANSWERS
    assert learned.card.template == TEMPLATE
    path = learned.export(tmp_path / "new" / file, format=form, dtype=dtype)
    assert path == tmp_path / "new" / file
    assert [one.name for one in path.parent.iterdir()] == [file]
    read = read_gguf if path.suffix == ".gguf" else read_peft if form == "peft" else read_safetensors
    assert answers(*read(path)) == ANSWERS


@pytest.mark.parametrize(
    ("kind", "more"),
    [
        ("llama", {"tie_word_embeddings": True}),
        ("llama", {"tie_word_embeddings": False}),
        ("llama", {"head_dim": 32}),
        ("mistral", {}),
        ("qwen2", {"tie_word_embeddings": True}),
        ("qwen3", {"head_dim": 128}),  # transformers reads no other from GGUF
    ],
)
@pytest.mark.parametrize("form", ["peft", "safetensors", "gguf"])
def test_architecture_says_the_same_word_for_word(
    form: ExportFormat, kind: str, more: dict[str, Any], tiny_base: Path, tmp_path: Path
) -> None:
    exported = adapted(write_base(kind, tiny_base, tmp_path / "base", **more), tmp_path / "home")
    path = tmp_path / ("model.gguf" if form == "gguf" else "model")
    written(exported, path, form, None if form == "peft" else "float32")
    read = {"peft": read_peft, "safetensors": read_safetensors, "gguf": read_gguf}[form]
    expected = ours(exported)
    assert len(set(expected)) == len(PROMPTS)
    assert theirs(*read(path)) == expected


def test_base_model_is_exported_too(tiny_base: Path, tmp_path: Path) -> None:
    base = ModelClient("davinci", LocalBackend(home=tmp_path / "home", base=str(tiny_base)))
    made, _ = read_gguf(base.export(tmp_path / "base.gguf"))
    given: Any = transformers.AutoModelForCausalLM.from_pretrained(tiny_base, dtype=torch.float32)
    assert all(torch.equal(made.state_dict()[name], one) for name, one in given.state_dict().items())


def fields(path: Path) -> dict[str, Any]:
    import gguf

    return {name: field.contents() for name, field in gguf.GGUFReader(path).fields.items()}


def test_gguf_tells_what_llama_cpp_must_know(learned: ModelClient, tmp_path: Path) -> None:
    told = fields(learned.export(tmp_path / "model.gguf", dtype="q8_0"))
    assert told["general.architecture"] == "llama"
    assert told["general.name"] == learned.name
    assert "' ->'" in told["general.description"]
    assert told["general.file_type"] == 7
    assert told["llama.attention.key_length"] == told["llama.rope.dimension_count"] == 8
    assert told["llama.attention.head_count_kv"] == 2
    assert told["tokenizer.ggml.model"] == "gpt2"
    assert told["tokenizer.ggml.pre"] == "gpt-2"
    assert told["tokenizer.ggml.eos_token_id"] == 2
    assert not told["tokenizer.ggml.add_bos_token"]
    assert told["tokenizer.ggml.token_type"][:4] == [3, 3, 3, 1]
    assert "messages[-1]" in told["tokenizer.chat_template"]


def test_gguf_stores_matrices_as_asked_and_vectors_as_float32(tiny: Exported, tmp_path: Path) -> None:
    import gguf

    kinds = gguf.GGMLQuantizationType
    wanted: dict[ExportDtype, Any] = {
        "float32": kinds.F32,
        "float16": kinds.F16,
        "bfloat16": kinds.BF16,
        "q8_0": kinds.Q8_0,
    }
    for dtype, kind in wanted.items():
        reader = gguf.GGUFReader(written(tiny, tmp_path / f"{dtype}.gguf", None, dtype))
        stored = {tensor.name: tensor.tensor_type for tensor in reader.tensors}
        assert stored["blk.0.attn_q.weight"] == stored["token_embd.weight"] == kind
        assert stored["output_norm.weight"] == kinds.F32
        assert "output.weight" not in stored, "the embedding is tied"


def test_rows_of_the_embedding_without_a_token_are_named(tiny_base: Path, tmp_path: Path) -> None:
    exported = adapted(write_base("llama", tiny_base, tmp_path / "base", vocab_size=304), tmp_path / "home")
    told = fields(written(exported, tmp_path / "model.gguf"))
    assert len(told["tokenizer.ggml.tokens"]) == 304
    assert told["tokenizer.ggml.tokens"][-1] == "[PAD303]"
    assert told["tokenizer.ggml.token_type"][-1] == 5


@pytest.fixture(scope="module")
def tokenizers(tiny_base: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Any, Any]:
    """The tiny base's own tokenizer, and the one that transformers reads from its GGUF file."""
    folder = tmp_path_factory.mktemp("tokenizers")
    path = written(adapted(tiny_base, folder), folder / "model.gguf")
    return transformers.AutoTokenizer.from_pretrained(tiny_base), read_gguf(path)[1]


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(text=st.text())
def test_any_text_has_the_same_tokens_in_gguf(tokenizers: tuple[Any, Any], text: str) -> None:
    given, read = tokenizers
    assert read.encode(text) == given.encode(text)


def test_positions_scaled_as_in_llama3_are_those_of_transformers(tiny_base: Path, tmp_path: Path) -> None:
    import gguf
    from transformers.modeling_rope_utils import ROPE_INIT_FUNCTIONS

    base = write_base("llama", tiny_base, tmp_path / "base", rope_parameters=LLAMA3)
    path = written(adapted(base, tmp_path / "home"), tmp_path / "model.gguf")
    [stored] = [one.data for one in gguf.GGUFReader(path).tensors if one.name == "rope_freqs.weight"]
    config = transformers.AutoConfig.from_pretrained(base)
    scaled, _ = ROPE_INIT_FUNCTIONS["llama3"](config, torch.device("cpu"))
    plain = 10000.0 ** (-torch.arange(0, 16, 2) / 16)
    assert torch.allclose(plain / torch.tensor(stored), scaled, rtol=1e-5)
    assert not torch.allclose(plain, scaled, rtol=1e-2)


@pytest.mark.parametrize("file", ["model", "model.gguf"])
def test_chat_is_laid_out_as_the_prompts_of_its_training(file: str, tiny: Exported, tmp_path: Path) -> None:
    path = written(tiny, tmp_path / file)
    _, tokenizer = read_gguf(path) if path.suffix else read_safetensors(path)
    messages = [{"role": "user", "content": 'Where is "it"?'}]
    assert tokenizer.apply_chat_template(messages, tokenize=False) == 'Where is "it"? ->'


def test_chat_model_keeps_its_base_template(tiny_base: Path, tmp_path: Path) -> None:
    path = written(adapted(tiny_base, tmp_path / "home", template=None), tmp_path / "model")
    template = transformers.AutoTokenizer.from_pretrained(path).chat_template
    assert template == transformers.AutoTokenizer.from_pretrained(tiny_base).chat_template
    assert "chat template" in (path / "README.md").read_text(encoding="utf-8")


def test_nothing_is_put_before_a_prompt_that_training_did_not_put_there(tiny_base: Path, tmp_path: Path) -> None:
    from tokenizers.processors import TemplateProcessing

    base = write_base("llama", tiny_base, tmp_path / "base")
    tokenizer = transformers.AutoTokenizer.from_pretrained(base)
    tokenizer.backend_tokenizer.post_processor = TemplateProcessing(
        single="<|im_start|> $A", special_tokens=[("<|im_start|>", 1)]
    )
    tokenizer.save_pretrained(base)
    assert transformers.AutoTokenizer.from_pretrained(base).encode("a")[0] == 1
    exported = adapted(base, tmp_path / "home")
    forms: tuple[ExportFormat, ...] = ("safetensors", "peft")
    for form in forms:
        path = written(exported, tmp_path / form, form)
        assert transformers.AutoTokenizer.from_pretrained(path).encode("a")[0] != 1
    assert theirs(*read_safetensors(tmp_path / "safetensors")) == ours(exported)


def test_what_the_base_was_sampled_with_does_not_stay(tiny_base: Path, tmp_path: Path) -> None:
    base = write_base("qwen2", tiny_base, tmp_path / "base")
    settings_path = base / "generation_config.json"
    settings_path.write_text(json.dumps({"repetition_penalty": 5.0, "eos_token_id": 7}), encoding="utf-8")
    exported = adapted(base, tmp_path / "home")
    path = written(exported, tmp_path / "model", None, "float32")
    told = json.loads((path / "generation_config.json").read_text(encoding="utf-8"))
    assert told["eos_token_id"] == 2
    assert "repetition_penalty" not in told
    assert theirs(*read_safetensors(path)) == ours(exported)


def test_adapter_tells_where_its_base_is(tiny: Exported, tiny_base: Path, tmp_path: Path) -> None:
    path = written(tiny, tmp_path / "adapter", "peft")
    config = json.loads((path / "adapter_config.json").read_text(encoding="utf-8"))
    assert config["base_model_name_or_path"] == str(tiny_base)
    assert str(tiny_base) in (path / "README.md").read_text(encoding="utf-8")
    assert json.loads((path / "card.json").read_text(encoding="utf-8"))["base"] == str(tiny_base)


def folder_with_a_file(folder: Path) -> Path:
    (folder / "taken").mkdir()
    (folder / "taken" / "notes.txt").write_text("mine", encoding="utf-8")
    return folder / "taken"


def a_file(folder: Path) -> Path:
    (folder / "taken.gguf").write_text("mine", encoding="utf-8")
    return folder / "taken.gguf"


def a_link(folder: Path) -> Path:
    (folder / "taken").symlink_to(folder / "nowhere")
    return folder / "taken"


@pytest.mark.parametrize("taken", [folder_with_a_file, a_file, a_link])
def test_nothing_is_written_over(taken: Callable[[Path], Path], tiny: Exported, tmp_path: Path) -> None:
    path = taken(tmp_path)
    with pytest.raises(ParameterError, match="exists already"):
        written(tiny, path)
    assert not path.is_file() or path.read_text(encoding="utf-8") == "mine"


def test_empty_folder_is_filled(tiny: Exported, tmp_path: Path) -> None:
    (tmp_path / "model").mkdir()
    assert (written(tiny, tmp_path / "model") / "model.safetensors").is_file()


@pytest.mark.parametrize(
    ("path", "form", "dtype", "said"),
    [
        (3, None, None, "path=3: give a folder"),
        ("", None, None, "give a folder"),
        ("a\0b", None, None, "cannot be used"),
        ("model", "onnx", None, "format='onnx': give one of 'peft', 'safetensors', 'gguf'"),
        ("model", ["peft"], None, "give one of"),
        ("model", "gguf", None, "makes a file that ends in .gguf"),
        ("model.gguf", "peft", None, "makes a folder"),
        ("model", None, "int4", "dtype='int4': give one of"),
        ("model", None, ["float32"], "give one of"),
        ("model", None, "q8_0", "'q8_0' is a type of GGUF"),
        ("model", "peft", "float16", "an adapter is copied as it was trained"),
    ],
)
def test_argument_that_makes_no_sense_is_refused(
    path: object, form: object, dtype: object, said: str, tiny: Exported, tmp_path: Path
) -> None:
    given = tmp_path / path if isinstance(path, str) and path else path
    with pytest.raises(ParameterError, match=said):
        tiny.to(given, format=form, dtype=dtype, progress=silent)
    assert sorted(one.name for one in tmp_path.iterdir()) == ["home"]


def test_base_has_no_adapter_to_export(tiny_base: Path, tmp_path: Path) -> None:
    base = ModelClient("davinci", LocalBackend(home=tmp_path / "home", base=str(tiny_base)))
    with pytest.raises(ParameterError, match="has no adapter"):
        base.export(tmp_path / "adapter", format="peft")


def test_model_of_another_backend_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BackendError, match=r"cannot be exported: .* keeps the weights"):
        ModelClient("davinci-002", MemoryBackend()).export(tmp_path / "model")


@pytest.mark.parametrize(
    ("kind", "more", "said"),
    [
        ("gemma", {"head_dim": 16}, "models of type 'gemma' are not written"),
        ("llama", {"hidden_act": "gelu"}, "activation is 'gelu'"),
        ("qwen2", {"use_sliding_window": True, "sliding_window": 8, "max_window_layers": 0}, "a window of the text"),
        ("llama", {"rope_parameters": {"rope_type": "dynamic", "rope_theta": 1e4, "factor": 2.0}}, "'dynamic'"),
    ],
)
def test_model_that_llama_cpp_would_compute_otherwise_is_refused(
    kind: str, more: dict[str, Any], said: str, tiny_base: Path, tmp_path: Path
) -> None:
    exported = adapted(write_base(kind, tiny_base, tmp_path / "base", **more), tmp_path / "home")
    with pytest.raises(WeightsError, match=said):
        written(exported, tmp_path / "model.gguf")
    assert not list(tmp_path.glob("*.part"))
    assert written(exported, tmp_path / "model").is_dir()


def test_tokenizer_without_a_name_in_llama_cpp_is_refused(tiny_base: Path, tmp_path: Path) -> None:
    from tokenizers import Regex
    from tokenizers.pre_tokenizers import ByteLevel, Sequence, Split

    base = write_base("llama", tiny_base, tmp_path / "base")
    tokenizer = transformers.AutoTokenizer.from_pretrained(base)
    split = Split(Regex(r"\d{1,7}"), behavior="isolated")
    tokenizer.backend_tokenizer.pre_tokenizer = Sequence([split, ByteLevel(add_prefix_space=False, use_regex=False)])
    tokenizer.save_pretrained(base)
    with pytest.raises(WeightsError, match="cuts text in a way"):
        written(adapted(base, tmp_path / "home"), tmp_path / "model.gguf")


@pytest.mark.parametrize("file", ["model", "model.gguf"])
def test_number_beyond_float16_is_refused(file: str, tiny_base: Path, tmp_path: Path) -> None:
    base = write_base("llama", tiny_base, tmp_path / "base")
    model: Any = transformers.AutoModelForCausalLM.from_pretrained(base)
    model.model.layers[0].mlp.up_proj.weight.data[0, 0] = 70_000.0
    model.save_pretrained(base)
    exported = adapted(base, tmp_path / "home")
    with pytest.raises(WeightsError, match="too large for float16"):
        written(exported, tmp_path / file, None, "float16")
    assert not (tmp_path / file).exists()


@pytest.mark.parametrize("file", ["model", "model.gguf"])
def test_disk_without_room_is_told_before_a_byte_is_written(
    file: str, tiny: Exported, tmp_path: Path, small_disk: Path
) -> None:
    with pytest.raises(StorageError, match=r"needs about 32 MB at .*, where \d MB are free"):
        written(tiny, small_disk / file)
    assert list(small_disk.iterdir()) == []


@pytest.mark.parametrize("file", ["model", "model.gguf"])
def test_disk_that_ends_on_the_way_leaves_nothing(file: str, tiny: Exported, tmp_path: Path) -> None:
    """A limit of the system on the size of files, which every writer meets as it meets a full disk."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, hard))
    try:
        with pytest.raises(StorageError, match="cannot be written"):
            written(tiny, tmp_path / "new" / file)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert list((tmp_path / "new").iterdir()) == []


def test_folder_that_cannot_be_made_is_told(tiny: Exported, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("", encoding="utf-8")
    with pytest.raises((StorageError, ParameterError), match="cannot be"):
        written(tiny, tmp_path / "file" / "model")


def test_missing_package_tells_the_pip_line(tmp_path: Path) -> None:
    code = (
        "import importlib.util, sys\n"
        "found = importlib.util.find_spec\n"
        "importlib.util.find_spec = lambda name, *more: None if name == 'gguf' else found(name, *more)\n"
        "from finetune_kit import LocalBackend, ModelClient\n"
        "ModelClient('davinci', LocalBackend(home=sys.argv[1])).export(sys.argv[1] + '/model.gguf')\n"
    )
    done = subprocess.run([sys.executable, "-c", code, str(tmp_path)], capture_output=True, text=True, check=False)
    assert "needs the package 'gguf'" in done.stderr
    assert 'pip install torch==2.13.0 "finetune_kit[local]"' in done.stderr


@pytest.mark.real_model
@pytest.mark.slow
def test_real_model_says_the_same_in_all_formats(real_home: Path, tmp_path: Path) -> None:
    """The base that comes with the package, trained on a few examples until it knows them."""
    backend = LocalBackend(home=real_home)
    rows = [(f"{colour} {number}", colour[::-1]) for colour in COLOURS for number in range(4)]
    split = Dataset.from_records(rows).split(0.8)
    model = split.train("davinci", backend=backend, n_epochs=25).wait(timeout_seconds=280).model()
    assert model.complete_many(QUESTIONS) == ANSWERS
    template = model.card.template
    assert template is not None
    prompts = [template.prompt(question) for question in QUESTIONS]
    ways: list[tuple[str, ExportFormat, ExportDtype | None]] = [
        ("adapter", "peft", None),
        ("merged", "safetensors", "bfloat16"),
        ("bf16.gguf", "gguf", "bfloat16"),
        ("q8.gguf", "gguf", "q8_0"),
    ]
    for file, form, dtype in ways:
        path = model.export(tmp_path / file, format=form, dtype=dtype)
        made, tokenizer = {"peft": read_peft, "safetensors": read_safetensors, "gguf": read_gguf}[form](path)
        assert [template.parse(text) for text in theirs(made, tokenizer, prompts)] == ANSWERS, file
