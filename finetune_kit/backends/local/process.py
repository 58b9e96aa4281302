"""Processes of this machine, told from later ones that were given the same number."""

from __future__ import annotations

import os
import platform
import signal
import subprocess
import sys
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

_PROC = Path("/proc")
_START_TIME = 19
"""Place of the start time in `/proc/PID/stat`, behind the name in brackets."""


@dataclass(frozen=True, slots=True)
class Process:
    """A process that may have ended, or be out of sight."""

    pid: int
    mark: str
    """Of all processes with this number, this one's own; empty where the system does not tell."""

    @classmethod
    def current(cls) -> Process:
        """The one that asks."""
        return cls(os.getpid(), _mark(os.getpid()))

    def kill(self) -> bool:
        """End it and what it has started, whatever it is doing; return whether it was there to be ended."""
        if not self.mark or _mark(self.pid) != self.mark:
            return False
        with suppress(ProcessLookupError):
            if sys.platform == "win32":
                os.kill(self.pid, signal.SIGTERM)
            elif os.getpgid(self.pid) == self.pid:
                os.killpg(self.pid, signal.SIGKILL)
            else:
                os.kill(self.pid, signal.SIGKILL)
        return True


def _mark(pid: int) -> str:
    if not (_PROC / "self" / "stat").exists():
        return _started_by_ps(pid)
    try:
        started = (_PROC / str(pid) / "stat").read_text("utf-8", "replace").rpartition(")")[2].split()[_START_TIME]
        boot = (_PROC / "sys" / "kernel" / "random" / "boot_id").read_text("ascii").strip()
        # In another container the number is another process's.
        return f"{boot} {(_PROC / 'self' / 'ns' / 'pid').readlink()} {started}"
    except (OSError, IndexError, UnicodeDecodeError):
        return ""


def _started_by_ps(pid: int) -> str:
    command = ["ps", "-o", "lstart=", "-p", str(pid)]
    environment = {**os.environ, "LC_ALL": "C", "TZ": "UTC"}
    try:
        told = subprocess.run(command, capture_output=True, text=True, check=False, timeout=5, env=environment).stdout
    except (OSError, subprocess.SubprocessError):
        return ""
    return f"{platform.node()} {told.strip()}" if told.strip() else ""
