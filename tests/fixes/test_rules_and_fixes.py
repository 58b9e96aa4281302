"""Rules and fixes speak of the same: what a rule promises exists, and what a fix mends its rule no longer finds."""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

import finetune_kit
from finetune_kit import fixes as all_fixes
from finetune_kit.dataset import Dataset
from finetune_kit.errors import ParameterError
from finetune_kit.fixes import NAMED, SAFE, AnyFix, DropFlagged, RedactPersonalData, RedactSecrets, StripPrefix
from finetune_kit.records import ChatExample, CompletionExample, Example, JsonValue, Message
from finetune_kit.validators import Contradictions, NearDuplicates, PersonalData, Secrets, Validator, row_validator
from tests.rows_of import PAIRS

PACKAGE = Path(finetune_kit.__file__).parent
RULES = sorted((PACKAGE / "validators").glob("*.py"))
PROSE = [*PACKAGE.rglob("*.py"), *(PACKAGE.parent / "docs").glob("*.md"), PACKAGE.parent / "README.md"]
ASKED = re.compile(r"clean\(fixes=\[([^\]]*)\]\)")


def promises(path: Path) -> Iterator[str]:
    """The texts that a rule's module gives as `fix`."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    constants: dict[str, ast.expr] = {}
    for node in tree.body:
        if isinstance(node, ast.Assign):
            target = node.targets[0]
            pairs = (
                zip(target.elts, node.value.elts, strict=True)
                if isinstance(target, ast.Tuple) and isinstance(node.value, ast.Tuple)
                else [(target, node.value)]
            )
            constants.update((name.id, value) for name, value in pairs if isinstance(name, ast.Name))
    calls = [node for node in ast.walk(tree) if isinstance(node, ast.Call)]
    for keyword in (keyword for call in calls for keyword in call.keywords):
        if keyword.arg == "fix":
            yield from texts_in(keyword.value, constants)


def texts_in(value: ast.expr, constants: dict[str, ast.expr]) -> Iterator[str]:
    if isinstance(value, ast.IfExp):
        yield from texts_in(value.body, constants)
        yield from texts_in(value.orelse, constants)
    elif isinstance(value, ast.Name):
        if value.id in constants:
            yield from texts_in(constants[value.id], constants)
    elif isinstance(value, ast.Constant) and value.value is not None:
        yield str(value.value)


def codes_in(path: Path) -> set[str]:
    return set(re.findall(r'^    code = "(\w+)"', path.read_text(encoding="utf-8"), re.MULTILINE))


PROMISING = [path for path in RULES if any(promises(path))]


@pytest.mark.parametrize("path", PROMISING, ids=lambda path: path.stem)
def test_what_a_rule_says_that_clean_does_is_what_clean_does_unasked(path: Path) -> None:
    does = {fix.description for fix in SAFE if fix.code in codes_in(path)}
    assert set(promises(path)) <= does
    assert len(PROMISING) >= 4


def test_every_fix_that_a_text_names_is_there() -> None:
    asked = [(path.name, each) for path in PROSE for each in ASKED.findall(path.read_text(encoding="utf-8"))]
    assert len(asked) > 5
    for path, each in asked:
        for name in re.findall(r'"(\w+)"', re.sub(r"\w+\([^)]*\)", "", each)):
            assert name == "safe" or name in NAMED, f"{path} names {name!r}"
        for name in re.findall(r"([A-Z]\w+)\(", each):
            assert hasattr(all_fixes, name), f"{path} names {name}"


MANY = 40
LABELS = [(f"question number {n}", "refund") for n in range(30)]
CARD = "4111 1111 1111 1111"
TOKEN = "ghp_" + "a1B2c3D4e5F6g7H8i9J0" * 2


@pytest.mark.parametrize(
    ("pairs", "code", "fix"),
    [
        ([("q\x00", "a\x08")], "control_characters", "control_characters"),
        ([("\ufeffq", "a\u200b")], "invisible_characters", "invisible_edges"),
        ([("q", " ")], "empty_completion", "empty_completion"),
        ([("", "a")], "empty_prompt", "empty_prompt"),
        ([("q", "a"), ("q", "a")], "duplicate", "duplicate"),
        ([("q&amp;b", "&#39;a&rsquo;")], "html", "html_entities"),
        ([("cafÃ©", "donâ€™t")], "mojibake", "mojibake"),
        ([*LABELS, ("x", "Refund "), ("y", "REFUND")], "look_alike_label", "label_spelling"),
        ([("QUESTION " * 9 + str(n), "a") for n in range(MANY)], "letter_case", "lower_case"),
        (
            [(f"write to li.lei{n}@mail.cn, 13800138000", CARD) for n in range(3)],
            "personal_data",
            "redact_personal_data",
        ),
        ([("my token", TOKEN)], "secret", "redact_secrets"),
        ([(f"q{n}", f"Answer: {n * n} it is") for n in range(MANY)], "completion_prefix", StripPrefix("Answer: ")),
        (
            [(f"Classify this message: thing {n}", "a") for n in range(MANY)],
            "prompt_prefix",
            StripPrefix("Classify this message: ", where="prompt"),
        ),
        ([(f"q{n % 7}", f"answer {n}") for n in range(10)], "contradiction", DropFlagged(Contradictions())),
    ],
)
def test_what_a_fix_has_mended_its_rule_no_longer_finds(pairs: list[tuple[str, str]], code: str, fix: Any) -> None:
    data = Dataset.from_records(pairs if len(pairs) == MANY else [*pairs, *PAIRS])
    report = data.validate()
    if code not in report.counts:
        pytest.fail(f"{code} is not found: {report.summary()}")
    clean = data.clean(report, fixes=[fix])
    assert clean.changes.counts.keys() == {code}
    assert code not in clean.validate().counts


# redaction


def test_people_and_accounts_become_words_and_all_else_stays() -> None:
    before = f"I am Li Lei (li.lei@mail.cn, +86 138 0013 8000), card {CARD}; ask support@shop.com."
    (after,) = Dataset.from_records([(before, "ok")]).clean(fixes=["redact_personal_data"])
    assert after == CompletionExample(
        "I am Li Lei ([e-mail address], [phone number]), card [payment card number]; ask support@shop.com.", "ok"
    )


@pytest.mark.parametrize("fix", ["redact_secrets", DropFlagged(Secrets())])
def test_what_was_secret_is_shown_to_nobody(fix: Any) -> None:
    log = Dataset.from_records([*PAIRS, ("my token", f"it is {TOKEN}")]).clean(fixes=[fix]).changes
    assert len(log) == 1
    for shown in (log.diff(), log.diff(form="unified"), log._repr_html_(), log.summary(), repr(log)):
        assert TOKEN not in shown
    assert "•••" in log.diff()
    assert TOKEN in str(next(iter(log)).before)


def test_a_private_key_goes_as_a_whole() -> None:
    body = "MIIEvQIBADANBgkqhkiG9w0BAQEFAASC\nBKcwggSjAgEAAoIBAQC7VJTUt9Us8cKj"
    text = f"Use\n-----BEGIN RSA PRIVATE KEY-----\n{body}\n-----END RSA PRIVATE KEY-----\nand {TOKEN}."
    (after,) = Dataset.from_records([("q", text)]).clean(fixes=["redact_secrets"])
    assert after == CompletionExample("q", "Use\n[private key]\nand [GitHub token].")
    (cut,) = Dataset.from_records([("q", f"-----BEGIN PRIVATE KEY-----\n{body}")]).clean(fixes=["redact_secrets"])
    assert cut == CompletionExample("q", "[private key]")


@pytest.mark.parametrize("fix", [RedactPersonalData(), RedactSecrets()])
def test_what_was_redacted_once_stays_as_it_is(fix: AnyFix) -> None:
    data = Dataset.from_records([(f"li.lei@mail.cn 13800138000 {CARD}", f"token: {TOKEN} password: hunter2Xy!9")])
    once = data.clean(fixes=[fix])
    assert list(once) != list(data)
    assert list(once.clean(fixes=[fix])) == list(once)


def calling(arguments: str, key: str = "tool_calls") -> ChatExample:
    """A conversation whose answer is a call with these arguments."""
    function: JsonValue = {"name": "note", "arguments": arguments}
    calls: JsonValue = [{"id": "c1", "type": "function", "function": function}] if key == "tool_calls" else function
    return ChatExample((Message("user", "Write it down."), Message("assistant", None, {key: calls})))


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ('{"to": "li.lei@mail.cn", "n": 1.50}', '{"to": "[e-mail address]", "n": 1.50}'),
        ('{"phone":13800138000,"n":2}', '{"phone":"[phone number]","n":2}'),
        (r'{"to":"at\nli.lei@mail.cn\u002e"}', r'{"to":"at\n[e-mail address]."}'),
        (r'"{\"phone\": 13800138000}"', r'"{\"phone\": \"[phone number]\"}"'),
        ('{"话": "电 13800138000 话"}', '{"话": "电 [phone number] 话"}'),
        (r'{"a": "\ud83d 13800138000 话"}', r'{"a": "\ud83d [phone number] \u8bdd"}'),
        ('{"password": "3#5g7^9b1&3", "b": "c"}', '{"password": "[password]", "b": "c"}'),
        (
            r'{"pem": "-----BEGIN PRIVATE KEY-----\nMIIEvQIBADANBgkqhkiG9w0BAQEFAASC", "b": "c"}',
            '{"pem": "[private key]", "b": "c"}',
        ),
        (json.dumps([{"password": "3#5g7^9b1&3"}, 1] * 20), json.dumps([{"password": "[password]"}, 1] * 20)),
        ("no JSON 13800138000", "no JSON [phone number]"),
        ('{"n": ' + "1" * 5_000 + ', "phone": 13800138000}', '{"n": ' + "1" * 5_000 + ', "phone": "[phone number]"}'),
    ],
)
@pytest.mark.parametrize("key", ["tool_calls", "function_call"])
def test_arguments_of_calls_are_redacted_and_stay_json(before: str, after: str, key: str) -> None:
    (clean,) = Dataset.from_records([calling(before, key)]).clean(fixes=["redact_personal_data", "redact_secrets"])
    assert clean == calling(after, key)


def test_refusals_are_redacted_and_every_other_key_stays() -> None:
    asked = Message("user", "Who?", {"name": "li_lei_13800138000"})
    before = ChatExample((asked, Message("assistant", None, {"refusal": f"not {TOKEN}", "weight": 1})))
    (after,) = Dataset.from_records([before]).clean(fixes=["redact_personal_data", "redact_secrets"])
    assert after == ChatExample((asked, Message("assistant", None, {"refusal": "not [GitHub token]", "weight": 1})))


DATA = st.sampled_from(["li.lei@mail.cn", "13800138000", CARD, TOKEN, "\n", '"', "\\", "password: hunter2Xy!9", "话"])
VALUES = st.recursive(
    st.lists(DATA).map(" ".join) | st.sampled_from([13800138000, 4111111111111111, 1.5, None, True]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(DATA, inner, max_size=3) | inner.map(json.dumps),
)


@pytest.mark.parametrize(("fix", "rule"), [(RedactPersonalData(), PersonalData()), (RedactSecrets(), Secrets())])
@given(value=VALUES, writing=st.sampled_from([{}, {"ensure_ascii": False}, {"indent": 1}]))
def test_json_with_data_anywhere_stays_json_in_which_the_rule_finds_nothing(
    fix: AnyFix, rule: Validator, value: Any, writing: dict[str, Any]
) -> None:
    data = Dataset.from_records([calling(json.dumps(value, **writing))])
    clean = data.clean(fixes=[fix])
    assert fix.code not in clean.validate([rule]).counts
    (example,) = clean
    assert isinstance(example, ChatExample)
    [call] = cast("list[Any]", example.messages[1].more["tool_calls"])
    json.loads(call["function"]["arguments"])


def test_a_key_that_may_be_made_up_becomes_the_same_words() -> None:
    made_up = "sk-proj-example8Lw2Nf5Vt7Bx3Kp9Rj4Hd6"
    data = Dataset.from_records([("key", made_up)])
    assert "perhaps made up" in data.validate([Secrets()]).issues[0].message
    assert list(data.clean(fixes=["redact_secrets"])) == [CompletionExample("key", "[OpenAI API key]")]


# rows that a rule names


def test_the_rows_that_any_rule_names_can_be_dropped() -> None:
    @row_validator("no_links")
    def no_links(example: CompletionExample) -> str | None:
        return "it holds a link" if "http" in example.completion else None

    data = Dataset.from_records([*PAIRS, ("where?", "http://a.b"), ("who?", "we")])
    clean = data.clean(fixes=[DropFlagged(no_links)])
    assert (len(clean), clean.changes.counts) == (21, {"no_links": 1})
    assert clean.undo("no_links")[20] == data[20]


def test_near_duplicates_can_be_dropped() -> None:
    text = "The parcel that I ordered on Monday last week has still not arrived at my house in the old town"
    examples: list[Example] = [
        ChatExample((Message("user", f"{text}{end}"), Message("assistant", "Sorry"))) for end in (".", "!", "")
    ]
    data = Dataset.from_records(examples)
    assert len(data.clean(fixes=[DropFlagged(NearDuplicates())])) < 3


def test_what_is_no_rule_is_refused() -> None:
    no_rule: Any = "near_duplicate"
    with pytest.raises(ParameterError, match="'near_duplicate' is not a rule"):
        DropFlagged(no_rule)
