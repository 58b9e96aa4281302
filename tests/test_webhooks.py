"""A message is believed only with a right signature and a near time, exactly as the openai package would."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import time
from collections.abc import Iterator
from contextlib import suppress
from itertools import count

import openai
import pytest
from hypothesis import given
from hypothesis import strategies as st

from finetune_kit._clock import FastClock, SystemClock, using
from finetune_kit.dataset import Dataset
from finetune_kit.errors import JobNotFoundError, ParameterError, WebhookError
from finetune_kit.job import FineTuneJob
from finetune_kit.testing import MemoryBackend
from finetune_kit.webhooks import Deliveries, read_webhook
from tests.rows_of import PAIRS

KEY = b"a webhook's secret, 32 bytes long"
SECRET = "whsec_" + base64.b64encode(KEY).decode()
_numbers = count(1)


@pytest.fixture(autouse=True)
def today() -> Iterator[None]:
    """The openai package, which has the same messages to judge, knows the machine's time alone."""
    with using(SystemClock()):
        yield


def body_of(job_id: object = "ftjob-1", kind: str = "fine_tuning.job.succeeded", **more: object) -> bytes:
    told = {"id": "evt_1", "object": "event", "type": kind, "created_at": 1_790_000_000, "data": {"id": job_id}}
    return json.dumps(told | more).encode()


def headers_of(body: bytes, *, key: bytes = KEY, sent_at: float | str | None = None) -> dict[str, str]:
    delivery = f"wh_{next(_numbers)}"
    stamp = str(int(time.time())) if sent_at is None else str(sent_at)
    signature = base64.b64encode(hmac.new(key, f"{delivery}.{stamp}.".encode() + body, hashlib.sha256).digest())
    return {"webhook-id": delivery, "webhook-timestamp": stamp, "webhook-signature": f"v1,{signature.decode()}"}


def openai_believes(body: bytes, headers: dict[str, str], secret: str = SECRET) -> bool:
    """What the openai package's own implementation says."""
    client = openai.OpenAI(api_key="sk-not-a-real-key", webhook_secret=secret)
    try:
        client.webhooks.verify_signature(body, headers)
    except (openai.InvalidWebhookSignatureError, ValueError):
        return False
    return True


def we_believe(body: bytes, headers: dict[str, str], secret: str = SECRET) -> bool:
    try:
        read_webhook(body, headers, secret=secret)
    except WebhookError:
        return False
    return True


@pytest.mark.parametrize("event", ["succeeded", "failed", "cancelled"])
def test_a_right_message_is_read_and_openai_would_take_it_too(event: str) -> None:
    body = body_of(kind=f"fine_tuning.job.{event}")
    headers = headers_of(body)
    notice = read_webhook(body, headers, secret=SECRET)
    assert (notice.job_id, notice.event, notice.delivery_id) == ("ftjob-1", event, headers["webhook-id"])
    assert notice.created_at.timestamp() == 1_790_000_000
    assert openai_believes(body, headers)
    assert read_webhook(body.decode(), list(headers.items()), secret=SECRET) == notice
    assert read_webhook(body, {name.upper(): value for name, value in headers.items()}, secret=SECRET) == notice


BODY = body_of()


@pytest.mark.parametrize(
    ("change", "believed"),
    [
        ({}, True),
        ({"webhook-signature": "v1,AAAA {right}"}, True),
        ({"webhook-signature": "{right} v1,AAAA"}, True),
        ({"webhook-signature": "v2,abc  v1,AAAA"}, False),
        ({"webhook-signature": "v1,"}, False),
        ({"webhook-signature": "v1,{right}"}, False),
        ({"webhook-signature": "v1,ünïcode"}, False),
        ({"webhook-signature": ""}, False),
        ({"webhook-id": "another"}, False),
        ({"webhook-id": ""}, False),
        ({"webhook-timestamp": "soon"}, False),
        ({"webhook-timestamp": "9" * 400}, False),
    ],
)
def test_we_believe_what_openai_believes(change: dict[str, str], *, believed: bool) -> None:
    headers = headers_of(BODY)
    headers |= {name: value.replace("{right}", headers["webhook-signature"]) for name, value in change.items()}
    assert we_believe(BODY, headers) is believed
    with suppress(TypeError):  # theirs stumbles over letters that are not ASCII
        assert openai_believes(BODY, headers) is believed


@pytest.mark.parametrize(("seconds", "believed"), [(-310, False), (-290, True), (0, True), (290, True), (310, False)])
def test_a_message_is_good_for_five_minutes(seconds: float, *, believed: bool) -> None:
    headers = headers_of(BODY, sent_at=int(time.time() + seconds))
    assert we_believe(BODY, headers) is openai_believes(BODY, headers) is believed


@given(
    st.binary(max_size=60),
    st.sampled_from(["webhook-id", "webhook-timestamp", "webhook-signature"]),
    st.text(max_size=30),
)
def test_whatever_is_changed_is_not_believed(body: bytes, name: str, value: str) -> None:
    assert not we_believe(body, headers_of(BODY))
    headers = headers_of(BODY)
    if value != headers[name]:
        assert not we_believe(BODY, headers | {name: value})


@given(
    st.binary(max_size=200)
    | st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(max_size=9),
        lambda inner: (
            st.lists(inner, max_size=3)
            | st.dictionaries(st.sampled_from(["type", "data", "id", "created_at"]), inner, max_size=4)
        ),
    ).map(lambda told: json.dumps(told).encode())
)
def test_what_is_signed_and_no_message_about_a_job_is_refused(body: bytes) -> None:
    with pytest.raises(WebhookError):
        read_webhook(body, headers_of(body), secret=SECRET)


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (body_of(kind="response.completed"), "tells of no fine-tuning job"),
        (body_of(kind="fine_tuning.job.succeeded.x"), "tells of no fine-tuning job"),
        (body_of("../../files/x"), "no job's id"),
        (body_of(7), "has not the fields"),
        (body_of(created_at=10**18), "no time of the calendar"),
        (b"{" * 5000, "no JSON"),
        (b" " * (1 << 20) + BODY, "bytes, and none that a host sends"),
    ],
)
def test_odd_messages_are_told_apart(body: bytes, message: str) -> None:
    with pytest.raises(WebhookError, match=message):
        read_webhook(body, headers_of(body), secret=SECRET)


def test_a_secret_without_its_prefix_is_taken_as_it_is() -> None:
    headers = headers_of(BODY, key=b"plain words")
    assert we_believe(BODY, headers, "plain words")
    assert openai_believes(BODY, headers, "plain words")


def test_while_a_secret_is_changed_both_are_good() -> None:
    headers = headers_of(BODY, key=b"plain words")
    assert read_webhook(BODY, headers, secret=[SECRET, "plain words"]).job_id == "ftjob-1"


@pytest.mark.parametrize("secret", [None, "", " ", [], ["", SECRET], "whsec_!!!", "whsec_ü"])
def test_without_a_sound_secret_nothing_is_read(secret: str | list[str] | None) -> None:
    with pytest.raises(ParameterError, match="secret") as raised:
        read_webhook(BODY, headers_of(BODY), secret=secret)
    assert raised.value.__cause__ is None
    assert "!!!" not in str(raised.value)


def test_no_secret_and_no_signature_stands_in_an_error() -> None:
    headers = headers_of(BODY, key=b"of somebody else")
    with pytest.raises(WebhookError) as raised:
        read_webhook(BODY, headers, secret=SECRET)
    for hidden in (SECRET, KEY.decode(), headers["webhook-signature"]):
        assert hidden not in str(raised.value)


def test_deliveries_tell_what_comes_twice_for_as_long_as_it_would_be_believed() -> None:
    with using(FastClock(float("inf"))):
        deliveries = Deliveries()
        notice = read_webhook(BODY, headers_of(BODY), secret=SECRET)
        assert deliveries.first(notice)
        assert not deliveries.first(notice)
        other = read_webhook(BODY, headers_of(BODY), secret=SECRET)
        assert deliveries.first(other)
        assert len(deliveries._came) == 2


def test_what_is_too_old_to_be_believed_need_not_be_remembered() -> None:
    clock = FastClock(float("inf"))
    with using(clock):
        deliveries = Deliveries()
        assert deliveries.first(read_webhook(BODY, headers_of(BODY), secret=SECRET))
        clock.sleep(601)
        assert deliveries.first(read_webhook(BODY, headers_of(BODY, sent_at=int(clock.now())), secret=SECRET))
        assert len(deliveries._came) == 1


@pytest.fixture
def job() -> FineTuneJob:
    backend = MemoryBackend(advance_on_look=False)
    return Dataset.from_records(PAIRS).split(0.75).train(backend=backend)


def test_the_hosts_word_counts_not_the_messages(job: FineTuneJob, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_WEBHOOK_SECRET", SECRET)
    body = body_of(job.id)
    told = FineTuneJob.from_webhook(body, headers_of(body), backend=job.backend)
    assert (told.id, told.state.status) == (job.id, "queued"), "though the message says that it has succeeded"
    body = body_of("ftjob-unknown")
    with pytest.raises(JobNotFoundError):
        FineTuneJob.from_webhook(body, headers_of(body), backend=job.backend)
    with pytest.raises(WebhookError):
        FineTuneJob.from_webhook(body, headers_of(body, key=b"another"), secret=SECRET, backend=job.backend)


def test_an_empty_key_with_which_anybody_could_sign_is_refused() -> None:
    body = body_of()
    with pytest.raises(ParameterError, match="damaged"):
        read_webhook(body, headers_of(body, key=b""), secret="whsec_")


def test_headers_in_bytes_are_read_as_asgi_servers_hand_them_over() -> None:
    body = body_of()
    raw = [(name.encode(), value.encode()) for name, value in headers_of(body).items()]
    assert read_webhook(body, raw, secret=SECRET).job_id == "ftjob-1"
