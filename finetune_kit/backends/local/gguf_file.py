"""A model as one GGUF file, as llama.cpp reads it."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from finetune_kit._extras import require
from finetune_kit.backends.local.gguf_vocabulary import Vocabulary
from finetune_kit.backends.protocol import ExportDtype
from finetune_kit.errors import WeightsError

if TYPE_CHECKING:
    import torch

ARCHITECTURES = {"llama": "llama", "mistral": "llama", "qwen2": "qwen2", "qwen3": "qwen3"}
"""Types of transformers, and what the same model is called in GGUF."""
_QUANTS: dict[ExportDtype, tuple[str, int]] = {
    "float32": ("F32", 0),
    "float16": ("F16", 1),
    "q8_0": ("Q8_0", 7),
    "bfloat16": ("BF16", 32),
}
"""How matrices are stored, and the number for a file of such."""
_QUANTIZATION_VERSION = 2
_MOST_FLOAT16 = 65504.0
_INSTEAD = "Export format='safetensors', which other programs read, and which some of them convert."


def check_config(config: Any) -> None:
    """Raise `WeightsError` for a model that llama.cpp would compute otherwise, or not know."""
    kind = config.model_type
    windows = "sliding_attention" in (getattr(config, "layer_types", None) or ())
    rope = config.rope_parameters["rope_type"] if kind in ARCHITECTURES else ""
    if kind not in ARCHITECTURES:
        why = f"models of type {kind!r} are not written as GGUF here, only {', '.join(ARCHITECTURES)}"
    elif config.hidden_act not in ("silu", "swish"):
        why = f"its activation is {config.hidden_act!r}, and llama.cpp takes silu for granted"
    elif windows and kind != "mistral":
        why = "some of its layers see a window of the text, which llama.cpp does not do for this type"
    elif rope not in ("default", "linear", "llama3"):
        why = f"its positions are scaled by {rope!r}, which is not written as GGUF here"
    else:
        return
    raise WeightsError(f"{why}. {_INSTEAD}")


@dataclass(frozen=True, slots=True)
class _Tensor:
    """One tensor of the file, as the model has it."""

    name: str
    """In GGUF."""
    numbers: torch.Tensor
    heads: int | None
    """Where its rows are those of so many heads, whose halves are interleaved in GGUF."""

    def turned(self) -> Any:
        """The numbers as the file has them, in float32, as an array of numpy."""
        numbers = self.numbers.detach().float()
        if self.heads is not None:
            shape = numbers.shape
            halves = numbers.reshape(self.heads, 2, shape[0] // self.heads // 2, *shape[1:])
            numbers = halves.swapaxes(1, 2).reshape(shape)
        return numbers.contiguous().numpy()


@dataclass(frozen=True, slots=True, kw_only=True)
class GgufModel:
    """What is written: a model with merged weights on the processor, and its tokenizer."""

    model: Any
    tokenizer: Any
    name: str
    description: str
    dtype: ExportDtype
    """Of matrices; vectors, such as norms, are always float32."""

    @property
    def size_bytes(self) -> int:
        """About what the file will hold."""
        per_number = {"float32": 4.0, "float16": 2.0, "bfloat16": 2.0, "q8_0": 34 / 32}[self.dtype]
        return int(per_number * sum(one.numel() for one in self.model.parameters()))

    def write(self, path: Path) -> None:
        """Tensor by tensor, so that memory holds one of them besides the model."""
        gguf = require("gguf", extra="local", purpose="Writing a GGUF file")
        import numpy as np

        tensors = [(one, self._quant(gguf, one)) for one in self._tensors(gguf)]
        writer = gguf.GGUFWriter(path, ARCHITECTURES[self.model.config.model_type])
        try:
            self._describe(gguf, writer)
            self._describe_tokenizer(gguf, writer)
            for one, quant in tensors:
                block, block_bytes = gguf.GGML_QUANT_SIZES[quant]
                size = one.numbers.numel() // block * block_bytes
                writer.add_tensor_info(one.name, tuple(one.numbers.shape), np.float32, size, raw_dtype=quant)
            writer.write_header_to_file()
            writer.write_kv_data_to_file()
            writer.write_ti_data_to_file()
            for one, quant in tensors:
                numbers = one.turned()
                if self.dtype == "float16" and abs(numbers).max(initial=0.0) > _MOST_FLOAT16:
                    raise WeightsError(f"the tensor {one.name} has numbers too large for float16. Take 'bfloat16'.")
                writer.write_tensor_data(gguf.quants.quantize(numbers, quant))
        finally:
            writer.close()

    def _describe(self, gguf: Any, writer: Any) -> None:
        config = self.model.config
        writer.add_name(self.name)
        writer.add_description(self.description)
        writer.add_file_type(_QUANTS[self.dtype][1])
        writer.add_quantization_version(_QUANTIZATION_VERSION)
        writer.add_context_length(_context_tokens(config))
        writer.add_embedding_length(config.hidden_size)
        writer.add_block_count(config.num_hidden_layers)
        writer.add_feed_forward_length(config.intermediate_size)
        writer.add_head_count(config.num_attention_heads)
        writer.add_head_count_kv(config.num_key_value_heads)
        writer.add_key_length(_head_dim(config))
        writer.add_value_length(_head_dim(config))
        writer.add_layer_norm_rms_eps(config.rms_norm_eps)
        writer.add_rope_dimension_count(_head_dim(config))
        writer.add_rope_freq_base(float(config.rope_parameters["rope_theta"]))
        if config.rope_parameters["rope_type"] == "linear":
            writer.add_rope_scaling_type(gguf.RopeScalingType.LINEAR)
            writer.add_rope_scaling_factor(float(config.rope_parameters["factor"]))
        writer.add_vocab_size(config.vocab_size)

    def _describe_tokenizer(self, gguf: Any, writer: Any) -> None:
        tokenizer = self.tokenizer
        vocabulary = Vocabulary.of(tokenizer, rows=self.model.get_input_embeddings().weight.shape[0])
        writer.add_tokenizer_model("gpt2")
        writer.add_tokenizer_pre(vocabulary.pre)
        writer.add_token_list(vocabulary.tokens)
        writer.add_token_types([gguf.TokenType(kind) for kind in vocabulary.types])
        writer.add_token_merges(vocabulary.merges)
        for name in ("bos", "eos", "unk", "pad"):
            number = getattr(tokenizer, f"{name}_token_id")
            if number is not None:
                getattr(writer, f"add_{name}_token_id")(number)
        writer.add_add_bos_token(False)  # as in training, where a chat template alone writes what stands first
        writer.add_add_eos_token(False)
        template = tokenizer.chat_template
        if template:
            named = isinstance(template, dict)
            writer.add_chat_template([{"name": n, "template": t} for n, t in template.items()] if named else template)

    def _tensors(self, gguf: Any) -> Iterator[_Tensor]:
        config = self.model.config
        kind = ARCHITECTURES[config.model_type]
        architecture = next(number for number, name in gguf.MODEL_ARCH_NAMES.items() if name == kind)
        names = gguf.get_tensor_name_map(architecture, config.num_hidden_layers)
        embedding, head = self.model.get_input_embeddings().weight, self.model.get_output_embeddings().weight
        turned = {"q_proj": config.num_attention_heads, "k_proj": config.num_key_value_heads} if kind == "llama" else {}
        if config.rope_parameters["rope_type"] == "llama3":
            yield _Tensor("rope_freqs.weight", _llama3_divisors(config), None)
        for name, numbers in self.model.state_dict().items():
            if name == "lm_head.weight" and head.data_ptr() == embedding.data_ptr():
                continue  # llama.cpp takes the embedding where there is none
            found = names.get_name(name, try_suffixes=(".weight", ".bias"))
            if found is None:
                raise WeightsError(f"GGUF has no name for the model's tensor {name!r}. {_INSTEAD}")
            yield _Tensor(found, numbers, turned.get(name.split(".")[-2]))

    def _quant(self, gguf: Any, tensor: _Tensor) -> Any:
        kinds = gguf.GGMLQuantizationType
        if tensor.numbers.ndim < 2:
            return kinds.F32
        quant = kinds[_QUANTS[self.dtype][0]]
        whole_blocks = tensor.numbers.shape[-1] % gguf.GGML_QUANT_SIZES[quant][0] == 0
        return quant if whole_blocks else kinds.F16


def _head_dim(config: Any) -> int:
    return int(getattr(config, "head_dim", None) or config.hidden_size // config.num_attention_heads)


def _context_tokens(config: Any) -> int:
    """What the model sees at once; no more than its window, which llama.cpp does not know for these types."""
    window = getattr(config, "sliding_window", None) if config.model_type == "mistral" else None
    return int(min(config.max_position_embeddings, window or config.max_position_embeddings))


def _llama3_divisors(config: Any) -> torch.Tensor:
    """What each frequency of the positions is divided by, as transformers computes it for `rope_type: llama3`."""
    import torch

    rope, size = config.rope_parameters, _head_dim(config)
    factor, low, high = rope["factor"], rope["low_freq_factor"], rope["high_freq_factor"]
    trained = rope["original_max_position_embeddings"]
    divisors: list[float] = []
    for index in range(0, size, 2):
        turns = trained / (2 * math.pi * rope["rope_theta"] ** (index / size))
        smooth = min(1.0, max(0.0, (turns - low) / (high - low)))
        divisors.append(1 / ((1 - smooth) / factor + smooth))
    return torch.tensor(divisors)
