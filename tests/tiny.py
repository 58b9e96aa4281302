"""A tiny base model with random weights and a real tokenizer, as a folder that `LocalBackend(base=...)` takes."""

from __future__ import annotations

from pathlib import Path

from tokenizers import Tokenizer
from tokenizers.decoders import ByteLevel as ByteLevelDecoder
from tokenizers.models import BPE
from tokenizers.pre_tokenizers import ByteLevel
from tokenizers.trainers import BpeTrainer

from finetune_kit.backends.local.home import Home
from finetune_kit.backends.local.models import Loaded, load_base

SPECIAL_TOKENS = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"]
CONTEXT_TOKENS = 512
TEXTS = [
    "Where is my parcel? -> track_order",
    "I want my money back -> refund",
    "What does delivery cost? -> delivery_cost",
    "今天晚上吃什么好呢? -> 番茄炒蛋",
]
CHAT_TEMPLATE = (
    "{% for message in messages %}{% if loop.first and messages[0]['role'] != 'system' %}"
    "{{ '<|im_start|>system\\nYou help.<|im_end|>\\n' }}{% endif %}"
    "{{'<|im_start|>' + message['role'] + '\\n' + message['content'] + '<|im_end|>' + '\\n'}}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}"
)


def write_tiny_base(folder: Path) -> Path:
    """Two layers of width 32, about 300 tokens of which 256 are bytes; grouped-query attention as in SmolLM2."""
    import torch
    from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast
    from transformers.utils import logging

    logging.disable_progress_bar()
    tokenizer = Tokenizer(BPE())
    tokenizer.pre_tokenizer = ByteLevel(add_prefix_space=False)
    tokenizer.decoder = ByteLevelDecoder()
    alphabet = ByteLevel.alphabet()
    tokenizer.train_from_iterator(
        TEXTS, BpeTrainer(vocab_size=300, special_tokens=SPECIAL_TOKENS, initial_alphabet=alphabet, show_progress=False)
    )
    wrapped = PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        bos_token="<|im_start|>",
        eos_token="<|im_end|>",
        pad_token="<|im_end|>",
        unk_token="<|endoftext|>",
    )
    wrapped.chat_template = CHAT_TEMPLATE
    config = LlamaConfig(
        vocab_size=len(wrapped),
        hidden_size=32,
        intermediate_size=64,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        max_position_embeddings=CONTEXT_TOKENS,
        tie_word_embeddings=True,
        bos_token_id=1,
        eos_token_id=2,
        pad_token_id=2,
    )
    torch.manual_seed(0)
    model = LlamaForCausalLM(config)
    model.bfloat16().save_pretrained(folder)
    wrapped.save_pretrained(folder)
    return folder


def load_tiny(folder: Path, home: Path, *, packed: bool = False) -> Loaded:
    """The tiny base in float32, so that two ways of computing the same can be compared closely."""
    import torch

    loaded = load_base(Home(home), str(folder), device="cpu", packed=packed, progress=lambda what, share: None)
    loaded.model.float()
    loaded.dtype = torch.float32
    return loaded


def load_talkative(folder: Path, home: Path) -> Loaded:
    """The tiny base with an output layer of its own; its tied one says the last token again and again."""
    import torch

    loaded = load_tiny(folder, home)
    shape = loaded.model.lm_head.weight.shape
    loaded.model.lm_head.weight = torch.nn.Parameter(torch.randn(shape, generator=torch.Generator().manual_seed(1)))
    loaded.model.eval()
    return loaded
