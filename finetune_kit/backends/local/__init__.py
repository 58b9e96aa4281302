"""The engine on this machine: it fine-tunes open models and serves them, with no key and no GPU."""

from finetune_kit.backends.local.backend import LocalBackend

__all__ = ["LocalBackend"]
