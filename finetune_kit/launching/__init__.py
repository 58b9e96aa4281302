"""Launching: from an order to a job that cannot be lost or doubled, whatever the network or the machine does."""

from finetune_kit.launching.launch import launch
from finetune_kit.launching.locks import acquired
from finetune_kit.launching.order import Order
from finetune_kit.launching.patience import Patience

__all__ = ["Order", "Patience", "acquired", "launch"]
