"""`HostSimulator`: a host with the OpenAI API on this machine, for tests."""

from __future__ import annotations

import random
import secrets
from collections import Counter
from collections.abc import Mapping, Sequence
from types import TracebackType
from typing import Self

from finetune_kit._clock import Clock
from finetune_kit.backends import Backend
from finetune_kit.hosts import host_profile
from finetune_kit.records import Kind
from finetune_kit.testing.memory_backend import MemoryBackend
from finetune_kit.testing.simulator.application import routed
from finetune_kit.testing.simulator.control import ControlRoutes
from finetune_kit.testing.simulator.courses import course_of
from finetune_kit.testing.simulator.desk import Desk
from finetune_kit.testing.simulator.faults import Fault, FaultScript
from finetune_kit.testing.simulator.file_routes import FileRoutes
from finetune_kit.testing.simulator.files import FileShelf
from finetune_kit.testing.simulator.flavour import Flavour, flavour_of
from finetune_kit.testing.simulator.gate import Gate
from finetune_kit.testing.simulator.inference import InferenceRoutes
from finetune_kit.testing.simulator.job_routes import JobRoutes
from finetune_kit.testing.simulator.jobs import JobBook
from finetune_kit.testing.simulator.log import RequestLog
from finetune_kit.testing.simulator.model_routes import ModelRoutes
from finetune_kit.testing.simulator.models import ModelShelf
from finetune_kit.testing.simulator.names import Names
from finetune_kit.testing.simulator.pace import Pace
from finetune_kit.testing.simulator.server import LoopbackServer
from finetune_kit.testing.simulator.steering import Steering
from finetune_kit.testing.simulator.training import Trainer
from finetune_kit.testing.simulator.upload_routes import UploadRoutes
from finetune_kit.testing.simulator.uploads import UploadShelf
from finetune_kit.testing.simulator.wire import JsonObject

UNNAMED_BASE = "simulated-8b-instruct"
"""The base model of hosts whose profile names none."""


class HostSimulator:
    """A real HTTP server on 127.0.0.1 that speaks the OpenAI API: files, jobs, events, models; with faults on a script.

    >>> from openai import OpenAI
    >>> with HostSimulator() as host:
    ...     client = OpenAI(api_key=host.api_key, base_url=host.base_url)
    ...     client.fine_tuning.jobs.list().data
    []

    Behind it stands `backend`, which really trains and answers: a `MemoryBackend` of its own unless given.
    docs/simulator.md shows every fault.
    """

    def __init__(
        self,
        backend: Backend | None = None,
        *,
        host: str | Flavour = "openai",
        key: str | None = None,
        faults: Sequence[Fault] = (),
        seed: int = 0,
        clock: Clock | None = None,
        pace: Pace | None = None,
        models: Sequence[str] | Mapping[str, Sequence[Kind]] | None = None,
        shutdown_dates: Mapping[str, str] | None = None,
        max_pending_jobs: int | None = None,
        port: int = 0,
    ) -> None:
        """A host that is not reachable yet.

        `models` are its base models, or each with the kinds of examples that it learns from; by default all of its
        profile's, whatever their dates: only `shutdown_dates` counts here. `clock` is by default the clock that the
        whole package uses. The same `seed` gives the same ids and faults.
        """
        flavour = flavour_of(host)
        names = Names(seed)
        trainer = Trainer(MemoryBackend(advance_on_look=False) if backend is None else backend)
        profile = host_profile(flavour.name)
        if isinstance(models, Mapping):
            bases = {name: tuple(kinds) for name, kinds in models.items()}
        else:
            names_of_bases = models or tuple(profile.models) or (UNNAMED_BASE,)
            bases = {name: profile.models[name].kinds if name in profile.models else () for name in names_of_bases}
        self.api_key = f"sk-simulator-{secrets.token_hex(16)}" if key is None else key
        self.requests = RequestLog()
        self.faults = FaultScript(tuple(faults), seed=seed)
        self._desk = Desk(
            flavour=flavour,
            pace=pace or Pace(),
            names=names,
            random=random.Random(seed),
            files=FileShelf(names, azure=flavour.azure),
            models=ModelShelf(
                bases=bases,
                aliases=profile.aliases,
                shutdown_dates=dict(shutdown_dates or {}),
                inner_base=trainer.base,
                created_at=1_700_000_000,
            ),
            trainer=trainer,
            clock=clock,
        )
        self._uploads = UploadShelf(names)
        self._book = JobBook(self._desk, course_of, max_pending_jobs=max_pending_jobs)
        self._steering = Steering(self._book)
        self._port = port
        self._server: LoopbackServer | None = None

    @property
    def flavour(self) -> Flavour:
        """What kind of host it is."""
        return self._desk.flavour

    @property
    def endpoint(self) -> str:
        """Its address without a path: what `AzureOpenAI` calls `azure_endpoint`."""
        if not self._port:
            raise RuntimeError("the simulator has no address yet. Call start(), or use it in a with statement.")
        return f"http://127.0.0.1:{self._port}"

    @property
    def base_url(self) -> str:
        """What clients take as `base_url`."""
        return f"{self.endpoint}/openai/v1" if self.flavour.azure else f"{self.endpoint}/v1"

    @property
    def counts(self) -> Counter[str]:
        """How many requests there were of each kind, such as `GET /fine_tuning/jobs/{id}`."""
        return self.requests.counts

    @property
    def jobs(self) -> list[JsonObject]:
        """All jobs as the API tells them, the oldest first; hidden ones too."""
        with self._desk.lock:
            return [job.as_json() for job in self._book.all()]

    @property
    def files(self) -> list[JsonObject]:
        """All files as the API tells them, the oldest first."""
        with self._desk.lock:
            now = self._desk.now()
            return [file.as_json(now) for file in self._desk.files.all(now)]

    @property
    def clock_skew_seconds(self) -> float:
        """By how much the host's clock is wrong."""
        return self._desk.skew_seconds

    @clock_skew_seconds.setter
    def clock_skew_seconds(self, seconds: float) -> None:
        self._desk.skew_seconds = seconds

    @property
    def training_allowed(self) -> bool:
        """False: the organisation is cut off, and jobs are refused with `training_not_available`."""
        return self._book.training_allowed

    @training_allowed.setter
    def training_allowed(self, allowed: bool) -> None:
        self._book.training_allowed = allowed

    def advance(self, job_id: str) -> str:
        """Let a job go on to its next status at once; returns that status."""
        return self._steering.advance(job_id)

    def finish(self, job_id: str) -> str:
        """Let a job go on to its end at once, or until it rests; returns its status then."""
        return self._steering.finish(job_id)

    def fail(self, job_id: str, message: str = "The job failed.", *, code: str = "server_error") -> None:
        """Let a job fail."""
        self._steering.fail(job_id, message, code=code)

    def close_to_training(self, model: str) -> None:
        """From now on the base model answers, but takes no new jobs."""
        self._steering.close_to_training(model)

    def deploy(self, model: str, *, name: str) -> None:
        """At Azure: let a model answer under the name of a deployment."""
        self._steering.deploy(model, name=name)

    def start(self) -> Self:
        """Listen, after a stop at the same address as before; returns the host."""
        if self._server is None:
            server = LoopbackServer(port=self._port)
            handlers = {
                **FileRoutes(self._desk).handlers(),
                **JobRoutes(self._book).handlers(),
                **UploadRoutes(self._desk, self._uploads).handlers(),
                **ModelRoutes(self._desk).handlers(),
                **InferenceRoutes(self._desk).handlers(),
            }
            gate = Gate(
                self._book,
                key=self.api_key,
                faults=self.faults,
                log=self.requests,
                routes=routed(handlers),
                control=routed(ControlRoutes(self._steering, self.faults, self.requests).handlers()),
                cut=server.cut,
            )
            try:
                server.start(gate)
            except BaseException:
                server.stop()
                raise
            self._server, self._port = server, server.port
        return self

    def stop(self) -> None:
        """Cut all connections and refuse new ones; what is there stays there, as in an outage."""
        if self._server is not None:
            self._server.stop()
            self._server = None

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.stop()
        with self._desk.lock:
            self._desk.files.close()
            self._uploads.close()

    def __repr__(self) -> str:
        where = "stopped" if self._server is None else self.base_url
        return f"<HostSimulator {self.flavour.name}: {where}>"
