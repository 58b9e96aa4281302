"""What fakes of hosts have in common: a real server on loopback, in front of a backend that learns by heart.

A fake answers as the host's documentation says that the host does; it says no to what the documentation does not have.
"""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Callable, Generator, Iterable, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from email import message_from_bytes
from typing import Any

from finetune_kit import HostedBackend
from finetune_kit.backends import Generation, JobSpec, JobState, Sampling
from finetune_kit.cards import Hyperparameters, ModelCard
from finetune_kit.errors import FinetuneKitError
from finetune_kit.testing import MemoryBackend
from finetune_kit.uploads import SpooledFile
from tests.backends.hosted.scripted_host import KEY, Asked, Says, ScriptedHost

Handler = Callable[..., Says]


@dataclass
class FakeHost:
    """Knows files, jobs and models by its own ids, and keeps what they are in a memory backend."""

    routes: tuple[tuple[str, str, str], ...] = ()
    """Method, path as a regular expression, and the name of the method that answers."""
    memory: MemoryBackend = field(default_factory=MemoryBackend)
    jobs: dict[str, dict[str, Any]] = field(default_factory=dict)
    """What each job was created with, and the memory's id of it."""
    models: dict[str, str] = field(default_factory=dict)
    fault: Callable[[Asked], Says | None] = lambda _: None
    """What is answered instead, where a test wants trouble; `after` has it done first."""
    lost: Callable[[Asked], bool] = lambda _: False
    """Whether what is asked is done, and the answer never arrives."""
    bases: tuple[str, ...] = ("test/base-1",)
    deployments: dict[str, str] = field(default_factory=dict)
    """What answers under which name: a model does so only once it is deployed."""
    deploys_at_once: bool = False
    """As if each model were deployed under its own name as soon as it is trained."""
    lock: threading.RLock = field(default_factory=threading.RLock)

    def answer(self, asked: Asked) -> Says:
        trouble = self.fault(asked)
        if trouble is not None:
            return trouble
        for method, pattern, name in self.routes:
            match = re.fullmatch(pattern, asked.path)
            if method == asked.method and match is not None:
                with self.lock:
                    says: Says = self.checked(asked) or getattr(self, name)(asked, *match.groups())
                return Says(hang_up=True) if self.lost(asked) else says
        return self.refusal(404, "not found")

    def checked(self, asked: Asked) -> Says | None:
        if asked.headers.get("authorization") != f"Bearer {KEY}":
            return self.refusal(401, f"Incorrect API key provided: {KEY[:6]}****")
        return None

    def refusal(self, status: int, message: str, code: str | None = None) -> Says:
        return Says(
            {"error": {"message": message, "type": "invalid_request_error", "param": None, "code": code}}, status
        )

    def deploy(self, model: str, *, name: str) -> None:
        self.deployments[name] = model

    def trained(self, output: str, inner: str) -> None:
        self.models[output] = inner
        if self.deploys_at_once:
            self.deployments[output] = output

    def keep(self, content: bytes, filename: str) -> str:
        with SpooledFile.of([line for line in content.split(b"\n") if line], filename=filename) as file:
            return self.memory.upload(file).id

    def begin(self, base: str, training: str, validation: str | None, n_epochs: int, suffix: str | None) -> JobState:
        """Start a job in the memory; a model that was trained here is trained further."""
        inner = self.models.get(base, "memory-1")
        spec = JobSpec(
            model=self.memory.resolve(inner),
            training_file=training,
            validation_file=validation,
            hyperparameters=Hyperparameters(n_epochs=n_epochs),
            suffix=suffix,
            card=ModelCard(base="memory-1", requested_model=base, backend="memory", kind="chat"),
        )
        return self.memory.start(spec)

    def measured(self, state: JobState) -> list[dict[str, float]]:
        import csv
        import io

        text = self.memory.file_content(state.result_files[0]).decode()
        return [{key: float(one) for key, one in row.items() if one} for row in csv.DictReader(io.StringIO(text))]

    def chat(self, asked: Asked) -> Says:
        return self._inferred(asked, chat=True)

    def complete(self, asked: Asked) -> Says:
        return self._inferred(asked, chat=False)

    def _inferred(self, asked: Asked, *, chat: bool) -> Says:
        body: Any = asked.json
        name = body["model"]
        inner = self.models.get(self.deployments.get(name, "")) or ("memory-1" if name in self.bases else None)
        if inner is None:
            return self.refusal(404, f"Unable to access model {name}.", "model_not_available")
        sampling = Sampling(max_tokens=body.get("max_tokens", 16), stop=tuple(body.get("stop", ())))
        [written] = (
            self.memory.chat(inner, [body["messages"]], sampling)
            if chat
            else self.memory.complete(inner, [body["prompt"]], sampling)
        )
        return Says(
            {"object": "chat.completion", "model": name, "choices": [_choice(written, chat=chat)], **_usage(written)}
        )


def _choice(written: Generation, *, chat: bool) -> dict[str, object]:
    said = {"message": {"role": "assistant", "content": written.text}} if chat else {"text": written.text}
    return {"index": 0, "finish_reason": written.finish_reason, **said}


def _usage(written: Generation) -> dict[str, object]:
    return {"usage": {"prompt_tokens": written.prompt_tokens, "completion_tokens": written.completion_tokens}}


def unknown(given: Iterable[str], known: Iterable[str]) -> list[str]:
    """What the published API does not have."""
    return sorted(set(given) - set(known))


def rows_of(content: bytes) -> list[Any] | None:
    """The rows of a JSON Lines file; None where it is none."""
    try:
        return [json.loads(line.decode("utf-8")) for line in content.split(b"\n") if line.strip()]
    except ValueError:
        return None


def form_of(asked: Asked) -> dict[str, tuple[str | None, bytes]]:
    """The fields of a form: file name and content."""
    head = f"Content-Type: {asked.headers['content-type']}\r\n\r\n".encode()
    found: dict[str, tuple[str | None, bytes]] = {}
    message = message_from_bytes(head + asked.body)
    for part in message.walk():
        name = part.get_param("name", header="content-disposition")
        if isinstance(name, str):
            content = part.get_payload(decode=True)
            assert isinstance(content, bytes)
            found[name] = part.get_filename(), content
    return found


def state_of(host: FakeHost, job: Mapping[str, Any], *, look: bool) -> JobState:
    """The memory's job; a look moves it on."""
    inner: str = job["inner"]
    if look:
        return host.memory.job(inner)
    return next(state for state in host.memory.jobs() if state.id == inner)


def refused(call: Callable[[], object]) -> str | None:
    """Why the memory does not do it."""
    try:
        call()
    except FinetuneKitError as error:
        return str(error)
    return None


@contextmanager
def serving(fake: FakeHost, host: str, **more: Any) -> Generator[tuple[HostedBackend, ScriptedHost]]:
    """A backend of a fake that listens."""
    server = ScriptedHost(fake.answer)
    try:
        with HostedBackend(KEY, server.url, host, **more) as backend:
            yield backend, server
    finally:
        server.close()
