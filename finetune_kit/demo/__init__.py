"""The demo: two customer-service data sets of the project's own writing, trained on this machine and shown."""

from finetune_kit.demo.run import LANGUAGES, run_demo

__all__ = ["LANGUAGES", "run_demo"]
