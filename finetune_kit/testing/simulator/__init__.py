"""A host with the OpenAI API on this machine, with faults on a script."""

from finetune_kit.testing.simulator.faults import Fault
from finetune_kit.testing.simulator.flavour import FLAVOURS, Flavour
from finetune_kit.testing.simulator.host import HostSimulator
from finetune_kit.testing.simulator.log import RecordedRequest
from finetune_kit.testing.simulator.manual_clock import ManualClock
from finetune_kit.testing.simulator.pace import Pace

__all__ = ["FLAVOURS", "Fault", "Flavour", "HostSimulator", "ManualClock", "Pace", "RecordedRequest"]
