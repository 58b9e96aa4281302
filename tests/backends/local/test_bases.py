"""Base models of the user's own: many architectures train and answer; what cannot is refused before it is loaded."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
import transformers

from finetune_kit import Dataset, LocalBackend
from finetune_kit.backends.local.bases import check_folder, check_kind, named
from finetune_kit.backends.local.generate import generate
from finetune_kit.backends.local.home import Home
from finetune_kit.backends.local.models import add_adapter, load_base, merge_adapter
from finetune_kit.backends.local.trainer import Settings, Trainer
from finetune_kit.backends.protocol import Sampling
from finetune_kit.errors import WeightsError
from tests.watching import Nobody

SIZES = {
    "vocab_size": 320,
    "hidden_size": 32,
    "intermediate_size": 64,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "head_dim": 8,
    "max_position_embeddings": 256,
    "bos_token_id": 1,
    "eos_token_id": 2,
    "pad_token_id": 2,
}
GPT2 = {
    "vocab_size": 320,
    "n_embd": 32,
    "n_layer": 2,
    "n_head": 4,
    "n_positions": 256,
    "bos_token_id": 1,
    "eos_token_id": 2,
}
ARCHITECTURES = ["llama", "qwen2", "qwen3", "mistral", "gemma", "phi", "gpt2"]


def write_base(kind: str, tokenizer_of: Path, folder: Path, **settings: float) -> Path:
    """A model of random weights with the tiny base's tokenizer."""
    torch.manual_seed(0)
    config: Any = transformers.AutoConfig.for_model(kind, **(GPT2 if kind == "gpt2" else SIZES), **settings)
    transformers.AutoModelForCausalLM.from_config(config).save_pretrained(folder)
    transformers.AutoTokenizer.from_pretrained(tokenizer_of).save_pretrained(folder)
    return folder


@pytest.mark.filterwarnings("ignore:fan_in_fan_out is set to False:UserWarning")  # peft's, which mends it for gpt2
@pytest.mark.parametrize("kind", ARCHITECTURES)
def test_architecture_trains_two_steps_and_answers(kind: str, tiny_base: Path, tmp_path: Path) -> None:
    base = write_base(kind, tiny_base, tmp_path / kind)
    home = Home(tmp_path / "home")
    loaded = load_base(home, str(base), device="cpu", packed=True, progress=lambda what, share: None)
    add_adapter(loaded, seed=0)
    rows = [{"prompt": f"question {n} ->", "completion": " red"} for n in range(4)]
    training = [loaded.encoder.row(row) for row in rows]
    settings = Settings(n_epochs=1, batch_size=2, learning_rate_multiplier=0.1, seed=0)
    trainer = Trainer(loaded=loaded, training=training, validation=[], settings=settings, state_folder=tmp_path)
    trainer.run(Nobody())
    assert trainer.step == 2
    moved = [p for name, p in loaded.model.named_parameters() if "lora_B" in name and bool(p.detach().abs().sum() > 0)]
    assert moved
    trainer.save_model(tmp_path / "adapter")
    answering = load_base(home, str(base), device="cpu", packed=False, progress=lambda what, share: None)
    merge_adapter(answering, tmp_path / "adapter")
    answering.model.eval()
    answer = generate(answering, [answering.encoder.prompt("question 1 ->")], Sampling(max_tokens=4))[0]
    assert answer.completion_tokens > 0


@pytest.mark.parametrize(
    ("kind", "scaled"), [("gemma2", {"final_logit_softcapping": 0.01}), ("granite", {"logits_scaling": 8.0})]
)
def test_architecture_with_changed_logits_is_refused(
    kind: str, scaled: dict[str, float], tiny_base: Path, tmp_path: Path
) -> None:
    base = write_base(kind, tiny_base, tmp_path / kind, **scaled)
    with pytest.raises(WeightsError, match="scales or caps its logits"):
        load_base(Home(tmp_path / "home"), str(base), device="cpu", packed=True, progress=lambda what, share: None)


def test_revision_is_told_from_id() -> None:
    assert named("owner/model@v1.0") == ("owner/model", "v1.0")
    assert named("owner/model") == ("owner/model", None)


def test_folder_with_an_at_sign_is_a_folder(tmp_path: Path) -> None:
    folder = tmp_path / "model@home"
    folder.mkdir()
    assert named(str(folder)) == (str(folder), None)


@pytest.mark.parametrize("base", ["owner/model@", "@main"])
def test_revision_without_its_other_half_is_refused(base: str) -> None:
    with pytest.raises(WeightsError, match="a part is empty"):
        named(base)


def spoil_pickle(folder: Path) -> None:
    (folder / "model.safetensors").rename(folder / "pytorch_model.bin")


def spoil_absent(folder: Path) -> None:
    (folder / "model.safetensors").unlink()


def spoil_shard(folder: Path) -> None:
    (folder / "model.safetensors").rename(folder / "model-00001-of-00002.safetensors")
    names = {"a": "model-00001-of-00002.safetensors", "b": "model-00002-of-00002.safetensors"}
    (folder / "model.safetensors.index.json").write_text(json.dumps({"weight_map": names}))


def spoil_outside(folder: Path) -> None:
    (folder / "model.safetensors.index.json").write_text(json.dumps({"weight_map": {"a": "../model.safetensors"}}))


def spoil_index(folder: Path) -> None:
    (folder / "model.safetensors.index.json").write_text("[]")


def spoil_config(folder: Path) -> None:
    (folder / "config.json").write_text('{"model_type": "ll')


def spoil_type(folder: Path) -> None:
    (folder / "config.json").write_text("{}")


FAULTS: list[tuple[Callable[[Path], None], str]] = [
    (spoil_pickle, "pickled .pytorch_model.bin.*Only safetensors"),
    (spoil_absent, "no model.safetensors"),
    (spoil_shard, "1 of 2 files of weights are missing, model-00002"),
    (spoil_outside, "does not lie in the folder"),
    (spoil_index, "no JSON object"),
    (spoil_config, "config.json cannot be read"),
    (spoil_type, "names no model_type"),
]


@pytest.mark.parametrize(("spoil", "said"), FAULTS)
def test_faulty_folder_is_refused_before_a_job_is_made(
    spoil: Callable[[Path], None], said: str, tiny_base: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "base"
    shutil.copytree(tiny_base, folder)
    check_folder(str(folder))
    spoil(folder)
    backend = LocalBackend(home=tmp_path / "home", base=str(folder))
    split = Dataset.from_records([(f"question {i}", ("red", "blue")[i % 2]) for i in range(20)]).split(0.8)
    with pytest.raises(WeightsError, match=said):
        split.train("davinci", backend=backend)
    assert backend.jobs() == []


def test_truncated_weights_are_refused(tiny_base: Path, tmp_path: Path) -> None:
    folder = tmp_path / "base"
    shutil.copytree(tiny_base, folder)
    weights = folder / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1000])
    with pytest.raises(WeightsError, match="cannot be loaded"):
        load_base(Home(tmp_path), str(folder), device="cpu", packed=True, progress=lambda what, share: None)


@pytest.mark.parametrize(
    ("kind", "said"), [("t5", "encoder"), ("qwen2_vl", "takes images"), ("vit", "does not go on with a text")]
)
def test_other_kinds_of_model_are_refused(kind: str, said: str) -> None:
    with pytest.raises(WeightsError, match=said):
        check_kind(transformers.AutoConfig.for_model(kind), "it")


def test_unreachable_hub_is_told(tmp_path: Path) -> None:
    """By the hub's own offline mode, which is read when its package is imported: so in a process of its own."""
    code = (
        "import sys; from pathlib import Path\n"
        "from finetune_kit.backends.local.home import Home\n"
        "from finetune_kit.backends.local.models import load_base\n"
        "from finetune_kit.errors import WeightsError\n"
        "try: load_base(Home(Path(sys.argv[1])), 'owner/model@v1', device='cpu', packed=True, progress=print)\n"
        "except WeightsError as error: print('refused:', error)\n"
    )
    environment = {"HF_HUB_OFFLINE": "1", "HF_HOME": str(tmp_path), "PYTHONPATH": str(Path(__file__).parents[3])}
    done = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path)], capture_output=True, text=True, check=False, env=environment
    )
    assert done.returncode == 0, done.stderr
    assert "refused: the base model 'owner/model@v1' cannot be loaded" in done.stdout
    assert "this machine can reach" in done.stdout
