"""The command line."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from finetune_kit._version import __version__
from finetune_kit.demo import LANGUAGES, run_demo
from finetune_kit.errors import Detached, FinetuneKitError

_FAILED, _INTERRUPTED = 1, 130


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command; return the exit status: 0, 1 where it failed, 2 for a wrong call, 130 after Ctrl-C."""
    options = _parser().parse_args(arguments)
    try:
        run_demo(home=options.home, languages=options.only or LANGUAGES)
    except FinetuneKitError as error:
        print(f"\n{type(error).__name__}: {error}", file=sys.stderr)
        return _FAILED
    except KeyboardInterrupt as interrupt:
        print(f"\n{interrupt if isinstance(interrupt, Detached) else 'stopped'}", file=sys.stderr)
        return _INTERRUPTED
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m finetune_kit", description="Fine-tune language models.")
    parser.add_argument("--version", action="version", version=f"finetune_kit {__version__}")
    commands = parser.add_subparsers(dest="command", required=True)
    demo = commands.add_parser(
        "demo",
        help="fine-tune a small open model on this machine, with no key and no GPU",
        description="Fine-tunes a small open model on two customer-service data sets that come with the package.",
    )
    demo.add_argument("--home", type=Path, help="folder for weights, jobs and models (default: your data folder)")
    demo.add_argument("--only", choices=LANGUAGES, action="append", help="run one part: the English or the Chinese one")
    return parser
