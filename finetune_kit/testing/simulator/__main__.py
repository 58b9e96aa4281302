"""A simulated host as a process of its own: `python -m finetune_kit.testing.simulator`.

The first line of its output is the base URL, the second the key. It ends by SIGTERM or Ctrl-C.
"""

from __future__ import annotations

import argparse
import signal
import sys
import threading
from collections.abc import Sequence
from types import FrameType

import orjson

from finetune_kit._clock import Clock, FastClock
from finetune_kit.errors import FinetuneKitError
from finetune_kit.testing.simulator.control import fault_of
from finetune_kit.testing.simulator.host import HostSimulator
from finetune_kit.testing.simulator.manual_clock import ManualClock
from finetune_kit.testing.simulator.pace import Pace
from finetune_kit.testing.simulator.refusals import Refusal

_PACES = {"quick": Pace(), "lifelike": Pace.lifelike(), "by-hand": Pace.by_hand()}


def main(arguments: Sequence[str] | None = None) -> int:
    """Serve until somebody ends it."""
    chosen = _parser().parse_args(arguments)
    try:
        faults = [fault_of(orjson.loads(one)) for one in chosen.fault]
        host = HostSimulator(
            host=chosen.host,
            key=chosen.key,
            faults=faults,
            seed=chosen.seed,
            clock=_clock(chosen.speed, manual=chosen.manual_clock),
            pace=_PACES[chosen.pace],
            models=chosen.model or None,
            max_pending_jobs=chosen.max_pending_jobs,
            port=chosen.port,
        )
        host.start()
    except (FinetuneKitError, Refusal, orjson.JSONDecodeError, OSError) as error:
        sys.stderr.write(f"{error}\n")
        return 1
    done = threading.Event()

    def end(number: int, frame: FrameType | None) -> None:
        del number, frame
        done.set()

    signal.signal(signal.SIGTERM, end)
    signal.signal(signal.SIGINT, end)
    sys.stdout.write(f"{host.base_url}\n{host.api_key}\n")
    sys.stdout.flush()
    done.wait()
    host.stop()
    return 0


def _clock(speed: float, *, manual: bool) -> Clock | None:
    if manual:
        return ManualClock()
    return None if speed == 1 else FastClock(speed)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m finetune_kit.testing.simulator", description=__doc__)
    parser.add_argument("--host", default="openai", help="which kind of host: openai, azure, bare, or a host profile")
    parser.add_argument("--port", type=int, default=0, help="0 takes any that is free")
    parser.add_argument("--key", help="the API key; by default a new one")
    parser.add_argument("--seed", type=int, default=0, help="of ids and of faults by chance")
    parser.add_argument("--speed", type=float, default=1.0, help="how many seconds pass there in one of this machine's")
    parser.add_argument("--manual-clock", action="store_true", help="time passes only by POST /_simulator/settings")
    parser.add_argument("--pace", choices=list(_PACES), default="quick", help="how long files and jobs take")
    parser.add_argument("--model", action="append", default=[], help="a base model; may be given several times")
    parser.add_argument("--max-pending-jobs", type=int, help="as many jobs may wait for one base model")
    parser.add_argument("--fault", action="append", default=[], help='JSON: {"kind": "cut", "on": "POST /files"}')
    return parser


if __name__ == "__main__":
    sys.exit(main())
