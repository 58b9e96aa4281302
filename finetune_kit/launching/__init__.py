"""Launching: from an order to a job that cannot be lost or doubled, whatever the network or the machine does."""

from finetune_kit.launching.launch import launch
from finetune_kit.launching.order import Order

__all__ = ["Order", "launch"]
