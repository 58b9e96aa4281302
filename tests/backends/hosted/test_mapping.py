"""Every error of the openai package and of its transport becomes one of ours, and never shows a secret."""

from __future__ import annotations

import importlib
import inspect
import json
import pkgutil
from collections.abc import Iterator
from typing import Any, cast

import openai
import pytest

from finetune_kit import errors, hosts
from finetune_kit.backends.hosted.asked import Ask
from finetune_kit.backends.hosted.asking import response_class
from finetune_kit.backends.hosted.mapping import Host, mapped

KEY = "sk-proj-abcdefghijklmnopqrstuvwx"
PROFILE = hosts.host_profile("openai").model_copy(update={"keys": ("OPENAI_API_KEY",)})
HOST = Host(PROFILE, "https://api.openai.com/v1", (KEY,))
READ = Ask(path="/fine_tuning/jobs/ftjob-1", what="the job 'ftjob-1' cannot be read", subject="job", name="ftjob-1")
START = Ask(method="POST", path="/fine_tuning/jobs", what="a job cannot be started", creates="a job")
CLIENT = openai.OpenAI(api_key=KEY)
transport = cast("Any", importlib.import_module(response_class().__module__.partition(".")[0]))


def public_errors() -> list[type[Exception]]:
    """All error classes that any public name of the package leads to."""
    found: dict[str, type[Exception]] = {}
    names = {"openai", "openai._exceptions", "openai.lib.azure", "openai.lib._old_api", "openai.lib"}
    names |= {info.name for info in pkgutil.iter_modules(openai.__path__, "openai.") if info.name == "openai.auth"}
    modules = [importlib.import_module(name) for name in sorted(names)]
    for module in modules:
        for name, value in list(vars(module).items()):
            ours = inspect.isclass(value) and issubclass(value, Exception)
            if ours and not name.startswith("_") and str(value.__module__).startswith("openai"):
                found[name] = cast("type[Exception]", value)
    return sorted(found.values(), key=lambda kind: kind.__name__)


def response(status: int, body: object = None, **headers: str) -> Any:
    request = transport.Request("POST", "https://api.openai.com/v1/x", headers={"Authorization": f"Bearer {KEY}"})
    names = {name.replace("_", "-"): value for name, value in headers.items()}
    return transport.Response(status, json=body, headers=names, request=request)


def made(kind: type[Exception], *, status: int = 400) -> Exception:
    """An error of a class, made as its own signature wants it."""
    values: dict[str, object] = {
        "message": f"it says {KEY}",
        "request": response(status).request,
        "response": response(getattr(kind, "status_code", status)),
        "body": {"message": f"it says {KEY}", "code": None},
        "completion": cast("Any", openai.types).chat.ChatCompletion.construct(),
        "unsent_messages": [],
        "symbol": "X",
        "code": 1000,
        "reason": "gone",
    }
    try:
        wanted = inspect.signature(kind).parameters.values()
    except ValueError:  # some inherit the constructor of Exception
        return kind(f"it says {KEY}")
    given = {one.name: values[one.name] for one in wanted if one.name in values and one.kind != one.VAR_KEYWORD}
    positional = [given.pop(one.name) for one in wanted if one.kind == one.POSITIONAL_ONLY and one.name in given]
    try:
        return kind(*positional, **given)
    except TypeError:  # what a release adds
        error = kind.__new__(kind)
        error.args = (f"it says {KEY}",)
        return error


def status_error(status: int, message: str = "no", *, code: str | None = None, **headers: str) -> Exception:
    body = {"message": message, "code": code, "type": "error", "param": None}
    return cast("Exception", CLIENT._make_status_error_from_response(response(status, {"error": body}, **headers)))


@pytest.mark.parametrize("kind", public_errors(), ids=lambda kind: kind.__name__)
@pytest.mark.parametrize("ask", [READ, START], ids=["read", "start"])
def test_every_public_error_of_the_package_becomes_one_of_ours(kind: type[Exception], ask: Ask) -> None:
    error = made(kind)
    ours = mapped(error, ask, HOST)
    assert isinstance(ours, errors.BackendError)
    assert KEY not in str(ours)
    assert KEY not in str(error)
    assert KEY not in repr(error)


def test_the_package_has_the_errors_that_are_known() -> None:
    names = {kind.__name__ for kind in public_errors()}
    assert {"OpenAIError", "APIStatusError", "APITimeoutError", "RateLimitError", "MutuallyExclusiveAuthError"} <= names


@pytest.mark.parametrize(
    ("status", "code", "read", "start"),
    [
        (400, None, errors.RequestRefusedError, errors.RequestRefusedError),
        (401, "invalid_api_key", errors.AuthenticationError, errors.AuthenticationError),
        (402, None, errors.QuotaError, errors.QuotaError),
        (403, None, errors.AccessError, errors.AccessError),
        (403, "training_not_available", errors.TrainingNotAvailableError, errors.TrainingNotAvailableError),
        (404, None, errors.JobNotFoundError, errors.RequestRefusedError),
        (404, "model_not_found", errors.UnknownModelError, errors.UnknownModelError),
        (408, None, errors.HostUnavailableError, errors.UnclearOutcomeError),
        (409, None, errors.HostUnavailableError, errors.UnclearOutcomeError),
        (422, None, errors.RequestRefusedError, errors.RequestRefusedError),
        (429, None, errors.RateLimitError, errors.RateLimitError),
        (429, "insufficient_quota", errors.QuotaError, errors.QuotaError),
        (429, "daily_rate_limit_exceeded", errors.RateLimitError, errors.JobSlotsError),
        (500, None, errors.HostUnavailableError, errors.UnclearOutcomeError),
        (503, None, errors.HostUnavailableError, errors.UnclearOutcomeError),
        (529, None, errors.HostUnavailableError, errors.UnclearOutcomeError),
    ],
)
def test_a_status_means_the_same_in_all_words(
    status: int, code: str | None, read: type[Exception], start: type[Exception]
) -> None:
    assert type(mapped(status_error(status, code=code), READ, HOST)) is read
    assert type(mapped(status_error(status, code=code), START, HOST)) is start


@pytest.mark.parametrize("status", range(300, 600))
def test_any_status_has_an_error(status: int) -> None:
    for ask in (READ, START):
        assert isinstance(mapped(status_error(status), ask, HOST), errors.BackendError)


@pytest.mark.parametrize(
    "message",
    [
        "This fine-tune request has been rate-limited. Your organization has reached the maximum of 3 active requests.",
        "You have reached the limit of queued fine-tuning jobs",
        "Too many running jobs",
    ],
)
@pytest.mark.parametrize("status", [400, 429])
def test_a_full_queue_is_told_from_a_rate_limit_by_its_words(status: int, message: str) -> None:
    assert type(mapped(status_error(status, message), START, HOST)) is errors.JobSlotsError


def foreign(*modules: Any) -> Iterator[type[Exception]]:
    for module in modules:
        for value in list(vars(module).values()):
            if inspect.isclass(value) and issubclass(value, Exception) and value.__module__.startswith("httpx"):
                yield value


@pytest.mark.parametrize("kind", list(foreign(transport)), ids=lambda kind: kind.__name__)
def test_every_error_of_the_transport_becomes_one_of_ours(kind: type[Exception]) -> None:
    values = {"message": f"Illegal header value b'Bearer {KEY}'", "request": response(200).request}
    values |= {"response": response(500)}
    wanted = inspect.signature(kind).parameters
    error = kind(**{name: value for name, value in values.items() if name in wanted})
    for ask in (READ, START):
        ours = mapped(error, ask, HOST)
        assert isinstance(ours, errors.BackendError)
        assert KEY not in str(ours)


@pytest.mark.parametrize("name", ["ConnectError", "ConnectTimeout", "PoolTimeout", "ProxyError"])
def test_what_cannot_have_been_sent_leaves_nothing_in_doubt(name: str) -> None:
    outer = openai.APIConnectionError(request=response(200).request)
    outer.__cause__ = getattr(transport, name)("no way there")
    ours = mapped(outer, START, HOST)
    assert isinstance(ours, errors.HostUnavailableError)
    assert not ours.sent
    assert "no way there" in str(ours)


@pytest.mark.parametrize("name", ["ReadError", "ReadTimeout", "WriteError", "WriteTimeout", "RemoteProtocolError"])
def test_what_may_have_been_sent_is_in_doubt_where_something_is_created(name: str) -> None:
    cause = getattr(transport, name)("cut")
    kind = openai.APITimeoutError if name.endswith("Timeout") else openai.APIConnectionError
    outer = kind(request=response(200).request)
    outer.__cause__ = cause
    assert type(mapped(outer, START, HOST)) is errors.UnclearOutcomeError
    ours = mapped(outer, READ, HOST)
    assert isinstance(ours, errors.HostUnavailableError)
    assert ours.sent


@pytest.mark.parametrize(
    "error",
    [
        json.JSONDecodeError("Expecting value", "<html>", 0),
        AttributeError("'str' object has no attribute 'id'"),
        TypeError("'NoneType' object is not iterable"),
        KeyError("id"),
        RecursionError("too deep"),
    ],
    ids=lambda error: type(error).__name__,
)
def test_what_the_package_stumbles_over_is_an_odd_answer(error: Exception) -> None:
    assert type(mapped(error, READ, HOST)) is errors.HostReplyError
    assert type(mapped(error, START, HOST)) is errors.UnclearOutcomeError


def test_a_text_that_cannot_be_sent_is_refused() -> None:
    with pytest.raises(UnicodeEncodeError) as caught:
        "\ud800".encode()
    assert type(mapped(caught.value, START, HOST)) is errors.RequestRefusedError


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({"retry_after": "7"}, 7),
        ({"retry_after": "86400"}, 86400),
        ({"retry_after": "0.5"}, 0.5),
        ({"retry_after_ms": "1500", "retry_after": "9"}, 1.5),
        ({"retry_after": "Wed, 25 Nov 2026 03:00:00 GMT", "date": "Wed, 25 Nov 2026 02:00:00 GMT"}, 3600),
        ({"retry_after": "Wed, 25 Nov 2026 01:00:00 GMT", "date": "Wed, 25 Nov 2026 02:00:00 GMT"}, 0),
        ({"retry_after": "soon"}, None),
        ({"retry_after": "nan"}, None),
        ({"retry_after": "-5"}, None),
        ({}, None),
    ],
)
def test_the_host_says_when_to_ask_again(headers: dict[str, str], seconds: float | None) -> None:
    for status in (429, 503):
        for ask in (READ, START):
            ours = mapped(status_error(status, **headers), ask, HOST)
            assert getattr(ours, "retry_after_seconds") == seconds  # noqa: B009 - of several classes


def test_a_refusal_tells_what_to_do() -> None:
    told = str(mapped(status_error(403, code="training_not_available"), START, HOST))
    assert "azure" in told
    assert "LocalBackend" in told
    assert "OPENAI_API_KEY" in str(mapped(status_error(401), START, HOST))


def test_a_wrong_key_is_not_shown_where_the_host_repeats_it() -> None:
    said = "Incorrect API key provided: sk-proj-********************wxyz. You can find your key in the dashboard."
    error = status_error(401, said)
    for text in (str(mapped(error, READ, HOST)), str(error), repr(error), str(getattr(error, "body", ""))):
        assert "wxyz" not in text
        assert "sk-proj" not in text


def test_a_host_cannot_write_to_the_terminal_or_flood_it() -> None:
    told = str(mapped(status_error(400, "\x1b[2J\u202e" + "x" * 100_000), READ, HOST))
    assert told.isprintable()
    assert len(told) < 700
