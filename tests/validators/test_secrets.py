"""Keys and passwords are found and never quoted; samples and words are left alone. None here was ever valid."""

from __future__ import annotations

import random
import string

import pytest
from hypothesis import given

from finetune_kit.validators import Secrets, Severity
from finetune_kit.validators.secrets import secrets_in
from tests.found_by import found_by, issues_in, texts_with

_CHANCE = random.Random(5)


def made(length: int, signs: str = string.ascii_letters + string.digits) -> str:
    """Random signs, put together here so that no scanner takes this file for a leak."""
    return "".join(_CHANCE.choices(signs, k=length))


_BASE32 = string.ascii_uppercase + "234567"

KEYS = [
    ("an OpenAI API key", "sk-" + made(48)),
    ("an OpenAI API key", "sk-proj-" + made(100)),
    ("an Anthropic API key", "sk-ant-api03-" + made(93)),
    ("an AWS access key", "AKIA" + made(16, _BASE32)),
    ("a GitHub token", "ghp_" + made(36)),
    ("a GitHub token", "github_pat_" + made(22) + "_" + made(59)),
    ("a GitLab token", "glpat-" + made(20)),
    ("a Slack token", "xoxb-" + made(12, string.digits) + "-" + made(24)),
    ("a Google API key", "AIza" + made(35)),
    ("a Hugging Face token", "hf_" + made(34)),
    ("a Stripe key", "sk_live_" + made(24)),
    ("an npm token", "npm_" + made(36)),
    ("a Telegram bot token", "9182736455:AA" + made(33)),
    ("an Alibaba Cloud access key", "LTAI" + made(20)),
    ("a JSON Web Token", ".".join(("eyJ" + made(33), "eyJ" + made(60), made(43)))),
]
PRIVATE_KEY = "-----BEGIN {}PRIVATE KEY-----\n" + made(64)


@pytest.mark.parametrize(("what", "key"), KEYS)
@pytest.mark.parametrize("around", ["{}", "key = {}", 'api_key="{}"', "密钥是{}。", "Bearer {}\n", "({})"])
def test_keys_of_known_forms_are_errors_and_never_quoted(what: str, key: str, around: str) -> None:
    text = around.format(key)
    [issue] = issues_in(Secrets(), "It is on its way.", text)
    assert (issue.row, issue.severity, issue.message) == (1, Severity.ERROR, f"the text holds what looks like {what}")
    assert issue.sensitive
    assert issue.span is not None
    assert text[slice(*issue.span)] == key
    assert key[8:20] not in repr(issue)


@pytest.mark.parametrize("kind", ["", "RSA ", "EC ", "OPENSSH ", "ENCRYPTED "])
def test_private_keys_are_errors(kind: str) -> None:
    [issue] = issues_in(Secrets(), PRIVATE_KEY.format(kind))
    assert (issue.severity, issue.message) == (Severity.ERROR, "the text holds what looks like a private key")


@pytest.mark.parametrize(
    "key", ["AKIAIOSFODNN7EXAMPLE", "sk-proj-abcdefghijklmnop1234567890", "ghp_abcdefghijklmnopqrstuvwxyz0123456789"]
)
def test_a_key_that_was_made_up_most_likely_is_only_a_warning(key: str) -> None:
    [issue] = issues_in(Secrets(), f"key = {key}")
    assert issue.severity is Severity.WARNING
    assert issue.message.endswith("key, perhaps made up") or issue.message.endswith("token, perhaps made up")
    assert issue.sensitive


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("password=hunter2Kq9x", "hunter2Kq9x"),
        ("PASSWORD: hunter2Kq9x", "hunter2Kq9x"),
        ("Password IS hunter2Kq9x", "hunter2Kq9x"),
        ("http://Ölçü" + "é" * 50 + ":Kq9x77hunter@shop.com", "Kq9x77hunter"),
        ('"db_password": "t0ps3cr3t-Kq9x"', "t0ps3cr3t-Kq9x"),
        ("密码是Kq9x77hunter，请保密", "Kq9x77hunter"),
        ("Your password is Kq9x77hunter.", "Kq9x77hunter."),
        ("postgres://admin:Kq9x77hunter@db.shop.com/main", "Kq9x77hunter"),
        ("client_secret = '8f14E45fCEEA167a5a36DEDD4bea2543'", "8f14E45fCEEA167a5a36DEDD4bea2543"),
    ],
)
def test_what_looks_like_a_password_is_a_warning(text: str, fault: str) -> None:
    [issue] = issues_in(Secrets(), text)
    assert issue.severity is Severity.WARNING
    assert issue.span is not None
    assert text[slice(*issue.span)] == fault
    assert fault not in repr(issue)


@pytest.mark.parametrize(
    "text",
    [
        "api_key=YOUR_API_KEY",
        "sk-your-api-key-here-1234567890ABCDEF",
        "sk-xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx",
        "sk-learn and sk-folding-cube-animation-delay",
        "hf_transfer_is_a_package_that_downloads",
        "password: required, at least 8 characters",
        "password=os.environ['DB_PASSWORD_2024']",
        "password=$DB_PASSWORD2",
        "password = getpass.getpass()",
        "I forgot my password. Is it case-sensitive?",
        "-----BEGIN CERTIFICATE-----\nMIIB",
        "-----BEGIN PRIVATE KEY-----",
        "the token: supercalifragilistic",
        "https://shop.com:8080/a@b",
        "MODEL-2024-XL-BLUE-0012345678",
        "AKIA",
        "eyJ.eyJ.x",
        "密码是什么？",
    ],
)
def test_samples_words_and_names_of_settings_are_left_alone(text: str) -> None:
    assert not issues_in(Secrets(), text)


@pytest.mark.parametrize("text", ["sk-" * 60_000, "A" * 200_000, "password=" * 20_000, "x://" * 40_000, "eyJ" * 60_000])
@pytest.mark.timeout(20)
def test_long_texts_take_no_more_than_their_length(text: str) -> None:
    assert len(issues_in(Secrets(), text)) < 10


@given(
    texts_with(
        *(key for _, key in KEYS),
        PRIVATE_KEY.format(""),
        "password=",
        "PASSWORD: ",
        "Kq9x77hunter",
        "密码：",
        "db://u:",
        "@h",
    )
)
def test_a_text_is_found_if_and_only_if_it_holds_any(text: str) -> None:
    assert found_by(Secrets(), [text]) == [any(True for _ in secrets_in(text))]


def test_a_whole_private_key_is_masked_and_a_password_beside_a_token() -> None:
    key = "-----BEGIN RSA " + "PRIVATE KEY-----\n" + "MIIEpAIBAAKCAQEA7bq2kLp9\n" * 20 + "-----END RSA PRIVATE KEY-----"
    [(_, _, (start, end))] = secrets_in(f"my key: {key} thanks")
    assert (start, end) == (8, 8 + key.index("-----END"))
    text = "token ghp_" + "a1B2c3D4e5F6" * 3 + ", password: qX7#vR2!kLp9"
    assert [what for what, _, _ in secrets_in(text)] == ["a GitHub token", "a password"]
