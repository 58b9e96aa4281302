"""Hosts with the OpenAI API: OpenAI itself, Azure, and the others that speak it."""

from finetune_kit.backends.hosted.backend import HostedBackend

__all__ = ["HostedBackend"]
