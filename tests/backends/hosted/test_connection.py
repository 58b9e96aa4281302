"""A host is reached by a key or a client, asked once, and no secret is ever shown."""

from __future__ import annotations

import asyncio
import copy
import gc
import pickle
import warnings
from base64 import b64encode
from importlib import import_module
from pathlib import Path
from typing import Any, cast

import openai
import pytest

from finetune_kit import HostedBackend, errors
from finetune_kit.backends import Sampling
from finetune_kit.backends.hosted.asking import response_class
from finetune_kit.backends.hosted.credentials import fingerprint
from finetune_kit.testing import HostSimulator
from tests.backends.hosted.scripted_host import KEY, Says, ScriptedHost, answering, error

transport = cast("Any", import_module(response_class().__module__.partition(".")[0]))
JOB = {"id": "ftjob-1", "status": "running", "model": "m", "created_at": 1}


def test_nothing_is_needed_to_make_one_but_a_name() -> None:
    backend = HostedBackend()
    assert backend.profile.name == "openai"
    assert backend.resolve("gpt-4o-mini-2024-07-18").model == "gpt-4o-mini-2024-07-18"


@pytest.mark.parametrize(
    ("host", "variable"),
    [("openai", "OPENAI_API_KEY"), ("azure", "AZURE_OPENAI_API_KEY"), ("nebius", "NEBIUS_API_KEY")],
)
def test_the_key_comes_from_the_hosts_variable_and_without_it_the_error_names_it(
    host: str, variable: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv(variable, raising=False)
    with pytest.raises(errors.AuthenticationError, match=variable):
        HostedBackend(base_url="http://127.0.0.1:9/openai/v1", host=host).job("ftjob-1")
    monkeypatch.setenv(variable, KEY)
    backend = HostedBackend(base_url="http://127.0.0.1:9/openai/v1", host=host)
    assert backend.account == HostedBackend(KEY, "http://127.0.0.1:9/openai/v1", host).account


@pytest.mark.parametrize("key", ["", "   ", "sk-with a space", "sk-ключ", "sk-line\nbreak"])
def test_a_key_that_cannot_be_one_is_told_before_it_is_sent_and_not_shown(key: str) -> None:
    with pytest.raises(errors.AuthenticationError) as caught:
        HostedBackend(key).job("ftjob-1")
    assert "sk-" not in str(caught.value)


@pytest.mark.parametrize("key", [5, b"sk-bytes", ["sk-in-a-list"]])
def test_a_key_that_is_no_text_is_told_and_not_shown(key: Any) -> None:
    with pytest.raises(errors.ParameterError, match=r"api_key is .*, not text") as caught:
        HostedBackend(key, "http://127.0.0.1:9/v1").job("ftjob-1")
    assert "sk-" not in str(caught.value)


@pytest.mark.parametrize(
    "address",
    [
        *("", " ", "example.com/v1", "ftp://example.com", "http://", "https://[", "https://a b/v1", "https://a/\nv1"),
        *(
            "https://a:99999/v1",
            "https://me:pass-word@a:x/v1",
            "https://a/v1?api-version=1&key=pass-word",
            5,
            b"http://a",
        ),
    ],
)
def test_an_address_that_can_be_none_is_told_before_anything_is_sent_to_it(address: Any) -> None:
    for told in (lambda backend: backend.job("ftjob-1"), repr):
        with pytest.raises(errors.ParameterError, match="base_url") as caught:
            told(HostedBackend(KEY, address))
        assert "pass-word" not in str(caught.value)
        assert caught.value.parameter == "base_url"


def test_an_address_may_be_written_carelessly() -> None:
    with answering(Says(JOB)) as (_, host):
        for address in (f" {host.url}//\n", host.url.replace("http", "HTTP")):
            with HostedBackend(KEY, address) as backend:
                assert backend.job("ftjob-1").id == "ftjob-1"


def test_a_password_in_the_address_is_sent_and_not_logged(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("DEBUG")
    with answering(error(400, "no pass:wörd here")) as (_, host):
        address = host.url.replace("http://", "http://me:pass%3Aw%C3%B6rd@")
        with HostedBackend(KEY, address) as backend, pytest.raises(errors.RequestRefusedError) as caught:
            backend.job("ftjob-1")
        basic = host.asked[0].headers["authorization"] or ""
    assert basic == f"Basic {b64encode('me:pass:wörd'.encode()).decode()}"
    for secret in ("pass:wörd", "pass%3A", basic.removeprefix("Basic ")):
        assert secret not in caplog.text + str(caught.value) + repr(vars(backend))


@pytest.mark.parametrize("style", ["openai", "azure"])
def test_whoever_logs_or_pickles_the_cause_of_an_error_finds_no_key_in_it(style: str) -> None:
    with answering(error(403)) as (_, host):
        version = "2024-10-21" if style == "azure" else None
        with (
            HostedBackend(KEY, host.url, style, api_version=version) as backend,
            pytest.raises(errors.AccessError) as caught,
        ):
            backend.job("ftjob-1")
    cause = cast("Any", caught.value.__cause__)
    for request in (cause.request, cause.response.request):
        assert KEY not in repr(dict(request.headers))
        assert "[secret]" in request.headers.values()


@pytest.mark.parametrize(
    ("variable", "value"), [("SSL_CERT_FILE", "/nowhere.pem"), ("ALL_PROXY", "gopher://me:pass-word@127.0.0.1:9")]
)
def test_a_connection_that_cannot_be_prepared_is_our_error(
    variable: str, value: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(variable, value)
    with pytest.raises(errors.BackendError, match="SSL_CERT_FILE") as caught:
        HostedBackend(KEY, "https://127.0.0.1:9/v1").job("ftjob-1")
    assert not caught.value.retryable
    assert "pass-word" not in str(caught.value)


@pytest.mark.parametrize(
    ("name", "value"),
    [*(("timeout_seconds", value) for value in ("x", -1, 0, float("nan"))), ("project", 5), ("organization", [])],
)
def test_a_setting_of_the_wrong_kind_is_told_before_anything_is_sent(name: str, value: Any) -> None:
    with pytest.raises(errors.ParameterError, match=name):
        HostedBackend(KEY, "http://127.0.0.1:9/v1", **{name: value}).job("ftjob-1")


def test_no_secret_is_shown() -> None:
    backend = HostedBackend(KEY, "https://user:pass-word@example.com/v1/")
    shown = f"{backend!r} {backend.account} {vars(backend)!r} {backend._connection!r} {backend._asker!r}"
    for secret in (KEY, "pass-word"):
        assert secret not in shown
    assert "https://example.com/v1" in repr(backend)
    backend.close()


def test_a_backend_is_not_pickled_or_copied_with_its_key() -> None:
    for make in (pickle.dumps, copy.copy, copy.deepcopy):
        with pytest.raises(TypeError, match="not pickled"):
            make(HostedBackend(KEY))


def test_accounts_are_told_apart_by_host_address_key_and_project() -> None:
    made = [
        HostedBackend(KEY),
        HostedBackend(KEY + "x"),
        HostedBackend(KEY, "https://example.com/v1"),
        HostedBackend(KEY, project="proj_1"),
        HostedBackend(KEY, organization="org-1"),
        HostedBackend(KEY, host="nebius"),
    ]
    accounts = [backend.account for backend in made]
    assert len(set(accounts)) == len(accounts)
    assert HostedBackend(KEY).account == accounts[0]
    assert len(fingerprint(KEY)) == 12
    assert KEY[3:] not in "".join(accounts)


def test_an_account_stays_the_same_when_its_token_is_renewed() -> None:
    accounts: set[str] = set()
    for token in ("token-of-one-hour", "token-of-the-next"):
        azure = openai.AzureOpenAI(
            azure_endpoint="http://127.0.0.1:9", azure_ad_token=token, api_version="2025-04-01-preview"
        )
        with azure:
            accounts.add(HostedBackend(host="azure", client=azure).account)
    assert len(accounts) == 1, "else a job that was started before is not found again"


def test_an_address_is_needed_where_each_account_has_its_own() -> None:
    with pytest.raises(errors.ParameterError, match="AZURE_OPENAI_ENDPOINT"):
        HostedBackend(KEY, host="azure").job("ftjob-1")
    with pytest.raises(errors.ParameterError, match="https://"):
        HostedBackend(KEY, "example.com").job("ftjob-1")


@pytest.mark.parametrize(
    ("address", "version", "path", "header"),
    [
        ("", None, "/openai/v1/fine_tuning/jobs/j", "authorization"),
        ("/openai/v1/", None, "/openai/v1/fine_tuning/jobs/j", "authorization"),
        ("/openai/v1", "preview", "/openai/v1/fine_tuning/jobs/j", "authorization"),
        ("", "2024-10-21", "/openai/fine_tuning/jobs/j", "api-key"),
        ("/openai", "2024-10-21", "/openai/fine_tuning/jobs/j", "api-key"),
    ],
)
def test_azure_is_asked_in_the_style_of_its_address(address: str, version: str | None, path: str, header: str) -> None:
    host = ScriptedHost(lambda _: Says({**JOB, "id": "j"}))
    try:
        with HostedBackend(KEY, host.url.removesuffix("/v1") + address, "azure", api_version=version) as backend:
            backend.job("j")
        [asked] = host.asked
        assert asked.path == path
        assert KEY in (asked.headers[header] or "")
        assert asked.query.get("api-version") == ([version] if version else None)
    finally:
        host.close()


def test_a_client_that_was_given_is_asked_once_and_stays_open() -> None:
    with answering(error(500)) as (_, host):
        client = openai.OpenAI(api_key=KEY, base_url=host.url, max_retries=5)
        with HostedBackend(client=client) as backend, pytest.raises(errors.HostUnavailableError):
            backend.delete_file("file-1")
        assert len(host.asked) == 1
        assert not client.is_closed()
        client.close()


def test_a_client_keeps_its_headers_query_and_project_in_its_twin() -> None:
    with answering(Says(JOB)) as (_, host):
        given = {"default_headers": {"x-team": "support"}, "default_query": {"tier": "gold"}, "project": "proj_1"}
        client = openai.AsyncOpenAI(api_key=KEY, base_url=host.url, **cast("Any", given))
        with HostedBackend(client=client) as backend:
            backend.job("ftjob-1")
        [asked] = host.asked
        assert asked.headers["x-team"] == "support"
        assert asked.headers["openai-project"] == "proj_1"
        assert asked.query["tier"] == ["gold"]


def test_a_client_for_asyncio_with_a_transport_of_its_own_says_what_to_pass() -> None:
    client = openai.AsyncOpenAI(api_key=KEY, http_client=transport.AsyncClient())
    with pytest.raises(errors.ParameterError, match="Pass OpenAI with the same settings"):
        HostedBackend(client=client).job("ftjob-1")


def test_a_client_with_a_transport_of_its_own_answers_in_threads_where_asyncio_asks() -> None:
    answer = Says({"choices": [{"text": "hi", "finish_reason": "stop"}]})
    with answering(answer) as (_, host):
        client = openai.OpenAI(api_key=KEY, base_url=host.url, http_client=transport.Client())
        backend = HostedBackend(client=client)
        [found] = asyncio.run(backend.complete_async("m", ["Hi"], Sampling()))
        assert found.text == "hi"
        client.close()


def test_what_is_no_client_is_refused() -> None:
    with pytest.raises(errors.ParameterError, match="no client"):
        HostedBackend(client=cast("Any", object())).job("ftjob-1")


def test_a_host_with_an_api_that_nobody_knows_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "hosts.json"
    path.write_text('{"nebius": {"openai_api": false}}', "utf-8")
    with pytest.raises(errors.ParameterError, match="API of its own"):
        _ = HostedBackend(KEY, host="nebius", hosts=path).profile


def test_a_closed_backend_says_so() -> None:
    with answering(Says(JOB)) as (backend, _):
        backend.job("ftjob-1")
        backend.close()
        with pytest.raises(errors.HostUnavailableError, match="closed"):
            backend.job("ftjob-1")


def test_a_host_of_ones_own_is_named_in_a_file(tmp_path: Path) -> None:
    path = tmp_path / "hosts.json"
    path.write_text('{"openai": {"name": "openai", "max_suffix_characters": 7}}', "utf-8")
    assert HostedBackend(KEY, hosts=path).profile.max_suffix_characters == 7


def test_a_backend_that_nobody_closes_leaves_no_open_socket() -> None:
    """Not even where it hangs in a cycle, whose sockets may be thrown away before the client that would close them."""
    with HostSimulator() as host, warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always", ResourceWarning)
        for _ in range(3):
            holder: list[object] = [HostedBackend(host.api_key, host.base_url)]
            cast("HostedBackend", holder[0]).jobs()
            cast("Any", holder[0]).holder = holder
            del holder
            gc.collect()
    assert [str(warning.message) for warning in told] == []
