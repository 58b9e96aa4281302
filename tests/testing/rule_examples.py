"""For each rule of the package: data that it must report, and data that it must pass."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from finetune_kit.hosts import HostProfile, ModelFacts, file_rules, host_profile
from finetune_kit.records import CompletionExample
from finetune_kit.rows import Source
from finetune_kit.tokens import ExampleTokens, HostedTokens
from finetune_kit.validators import (
    AnyValidator,
    FileSize,
    FileSource,
    HostKind,
    ImageLimits,
    LongAnswer,
    MinimumExamples,
    TokenLimit,
)
from finetune_kit.validators.plugins import BrokenPlugin
from tests.tokens.words import Words


@dataclass(frozen=True)
class Examples:
    """A list is a set of examples that are checked together."""

    bad: Sequence[object]
    good: Sequence[object]
    rule: AnyValidator | None = None
    """Where the rule needs other settings than by default, to be tried with little data."""


def chat(*turns: tuple[str, Any], **more: Any) -> dict[str, Any]:
    """A row as JSON Lines hold it; a turn is a role with a content, or with the message's other keys."""
    return {"messages": [_turn(role, told) for role, told in turns], **more}


def _turn(role: str, told: Any) -> dict[str, Any]:
    return {"role": role, **told} if isinstance(told, dict) else {"role": role, "content": told}


def preference(asked: str, good: object, bad: object) -> dict[str, Any]:
    """A preference pair."""
    return {
        "input": {"messages": [{"role": "user", "content": asked}]},
        "preferred_output": good if isinstance(good, list) else [{"role": "assistant", "content": good}],
        "non_preferred_output": bad if isinstance(bad, list) else [{"role": "assistant", "content": bad}],
    }


def pairs(rows: int, *, prompt: str = "{1} is parcel {0}?", completion: str = "{2} {0}.") -> list[object]:
    """Rows that differ in a number and, unless a text is given that does not, in how they begin."""
    ways = (("Where", "At number"), ("How late", "Tomorrow at"), ("Whose", "It belongs to customer"))
    return [
        (prompt.format(number, *ways[number % 3]), completion.format(number, *ways[number % 3]))
        for number in range(rows)
    ]


def labelled(**counts: int) -> list[object]:
    """So many rows with each label."""
    return [(f"{label} {number}?", label) for label, times in counts.items() for number in range(times)]


def chat_alone() -> HostProfile:
    """A host that trains on conversations, today and ever."""
    host = host_profile("openai")
    facts = ModelFacts(kinds=("chat",), source="made for a test", as_of=host.as_of)
    return host.model_copy(update={"models": {"m": facts}, "aliases": {}})


def counted_words() -> ExampleTokens:
    """Tokens by an exact rule that needs no extra."""
    return HostedTokens(Words())


SOUND = ("Where is my parcel?", "At your neighbour's.")
TALK = chat(("user", "Where is my parcel?"), ("assistant", "At your neighbour's."))
PREFER = preference("Where is it?", "At your neighbour's.", "No idea.")
FREE = pairs(40)
LABELLED = labelled(refund=30, track=30)
IMAGE = {"type": "image_url", "image_url": {"url": "https://example.org/chart.png"}}
SEEN = chat(("user", [{"type": "text", "text": "What is this?"}, IMAGE]), ("assistant", "A chart."))
TOOL = {"type": "function", "function": {"name": "weather", "parameters": {"type": "object", "properties": {}}}}
CALL = {"id": "a", "type": "function", "function": {"name": "weather", "arguments": "{}"}}
CALLED = chat(
    ("user", "Is it warm?"),
    ("assistant", {"tool_calls": [CALL]}),
    ("tool", {"content": "yes", "tool_call_id": "a"}),
    ("assistant", "It is."),
    tools=[TOOL],
)
SOURCE = Source("a.csv", "csv", "utf-8", 1.0, False, ",", 1, 0, (), {}, ())


def talk_with(**more: Any) -> dict[str, Any]:
    """A conversation whose answer has these keys."""
    return chat(("user", "Hello, is anybody there?"), ("assistant", {"content": "How can I help?", **more}))


def with_columns(*columns: Mapping[str, Any]) -> list[object]:
    """Rows with other columns beside prompt and completion."""
    return [CompletionExample(f"Where is parcel {place}?", "Here.", more) for place, more in enumerate(columns)]


EXAMPLES: dict[str, Examples] = {
    "minimum_examples": Examples([[SOUND], FREE[:9]], [FREE], MinimumExamples(minimum=2, advised=20)),
    "empty_completion": Examples([("Where?", ""), ("Where?", " \n")], [SOUND, TALK, ("", "x")]),
    "empty_message": Examples(
        [chat(("user", ""), ("assistant", "yes")), chat(("user", "hi"), ("assistant", " "))], [TALK, CALLED, SOUND]
    ),
    "chat_roles": Examples([chat(("user", "hi")), chat(("bot", "hi"), ("assistant", "yes"))], [TALK, CALLED, SOUND]),
    "message_weight": Examples([talk_with(weight=0.5), talk_with(weight=0)], [TALK, talk_with(weight=1)]),
    "message_name": Examples([talk_with(name="Ann Miller"), talk_with(name=3)], [TALK, talk_with(name="Ann_Miller")]),
    "reserved_token": Examples(
        [chat(("user", "hi"), ("assistant", "yes<|endoftext|>")), chat(("user", "hi"), ("assistant", "yes<|im_end|>"))],
        [TALK],
    ),
    "content_part": Examples(
        [
            chat(("user", [{"type": "input_audio", "input_audio": {}}]), ("assistant", "yes")),
            chat(
                ("user", "hi"),
                ("assistant", {"tool_calls": [CALL]}),
                ("tool", {"content": [{"type": "text", "text": "yes"}], "tool_call_id": "a"}),
                ("assistant", "It is."),
                tools=[TOOL],
            ),
        ],
        [TALK, SEEN],
    ),
    "image_part": Examples(
        [
            chat(("user", [{"type": "image_url", "image_url": {"url": url}}]), ("assistant", "yes"))
            for url in ("C:/chart.gif", "data:image/jpeg;base64,iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAIAAAAA")
        ],
        [TALK, SEEN],
    ),
    "image_limit": Examples([[SEEN, SEEN, SEEN]], [[SEEN, SEEN, TALK, TALK]], ImageLimits(most=2)),
    "tool_definition": Examples(
        [
            chat(("user", "hi"), ("assistant", "yes"), tools=[{"name": "get weather"}]),
            chat(("user", "hi"), ("assistant", "yes"), tools=[TOOL, TOOL]),
        ],
        [TALK, CALLED],
    ),
    "tool_calls": Examples(
        [
            chat(("user", "hi"), ("assistant", {"tool_calls": [CALL]}), ("assistant", "yes"), tools=[TOOL]),
            chat(
                ("user", "hi"),
                ("assistant", {"tool_calls": [{**CALL, "function": {"name": "weather", "arguments": "{"}}]}),
                ("tool", {"content": "yes", "tool_call_id": "a"}),
                ("assistant", "It is."),
                tools=[TOOL],
            ),
        ],
        [TALK, CALLED],
    ),
    "preference_pair": Examples([preference("a", "the same", "the same"), preference("a", "x", [])], [PREFER]),
    "chat_order": Examples(
        [chat(("user", "a"), ("user", "b"), ("assistant", "c"))],
        [TALK, CALLED, chat(("system", "s"), ("user", "a"), ("assistant", "c"))],
    ),
    "echoed_question": Examples([chat(("user", "Where is my parcel?"), ("assistant", "Where is my parcel?"))], [TALK]),
    "message_keys": Examples([talk_with(loss_weight=1.0), talk_with(tool_calls=None)], [TALK, talk_with(weight=1)]),
    "empty_prompt": Examples([[SOUND, ("", "Here.")], pairs(9, prompt="")], [[SOUND, ("And mine?", "Here.")]]),
    "duplicate": Examples([[SOUND, ("And mine?", "Here."), SOUND], [TALK, TALK]], [FREE, TALK]),
    "contradiction": Examples([[("Hours?", "9 to 5"), ("Hours?", "10 to 6")]], [FREE, [SOUND, SOUND]]),
    "identical_prompts": Examples([pairs(40, prompt="Write a review")], [FREE, pairs(40, prompt="")]),
    "task_type": Examples([FREE, LABELLED, pairs(40, prompt="")], [TALK, PREFER]),
    "prompt_prefix": Examples([pairs(40, prompt="Classify the following message: parcel {}")], [FREE, LABELLED]),
    "completion_prefix": Examples(
        [[*pairs(40, completion="The answer is: on day {}"), ("Where is it?", "The answer is:")]], [FREE, LABELLED]
    ),
    "prompt_suffix": Examples(
        [
            [*pairs(40, prompt="Where is {}? ->"), *pairs(10, prompt="And {}")],
            pairs(40, prompt="Where is {}?\n\nAnswer in one word:"),
        ],
        [FREE],
    ),
    "completion_suffix": Examples([[*pairs(40, completion="Day {} END"), *pairs(9, completion="No {}")]], [FREE]),
    "prepared": Examples([pairs(40, prompt="Where is {}? ->", completion=" Day {}\n")], [FREE]),
    "letter_case": Examples([pairs(40, prompt="WHERE IS PARCEL {}?")], [FREE, labelled(SPAM=30, HAM=30)]),
    "one_class": Examples([labelled(spam=40)], [LABELLED, FREE]),
    "label_balance": Examples([labelled(ham=198, spam=2), LABELLED], [FREE, TALK]),
    "rare_label": Examples([labelled(refund=60, track=60, lost=1)], [LABELLED, FREE]),
    "look_alike_label": Examples([labelled(refund=40, Refund=4, track=40)], [LABELLED, FREE]),
    "extra_columns": Examples([with_columns({"context": "a"}, {"context": "b"})], [FREE]),
    "column_types": Examples([with_columns({"a": 17}, {"a": "17"})], [FREE, with_columns({"a": "17"}, {"a": None})]),
    "file_size": Examples(
        [FREE], [[SOUND]], FileSize(file_rules("azure").model_copy(update={"max_file_bytes": 1_000}))
    ),
    "file_source": Examples([SOUND], [], FileSource(file_rules("openai"), replace(SOURCE, format="jsonl", bom=True))),
    "plugin_failed": Examples([SOUND], [], BrokenPlugin("'house' of the package house 1.0", "ImportError: no module")),
    "separator": Examples([FREE], [pairs(40, prompt="Where is {}? ->"), TALK]),
    "stop_sequence": Examples([FREE], [pairs(40, completion="Day {} END"), TALK]),
    "near_duplicate": Examples(
        [[SOUND, ("where is my parcel", "at your neighbour's"), *pairs(9)]], [[SOUND, ("Can you find it?", "No.")]]
    ),
    "near_contradiction": Examples(
        [[*LABELLED, ("Where is my parcel now, please?", "track"), ("where is my parcel now please", "refund")]],
        [[*LABELLED, ("Where is my parcel now, please?", "track"), ("where is my parcel now please", "track")], FREE],
    ),
    "mojibake": Examples([("Where is the cafÃ©?", "Here."), ("Where?", "In the R\ufffdmerstraße.")], [SOUND, TALK]),
    "control_characters": Examples([("Where?\0", "Here."), ("Where?", "\x1b[1mHere.")], [("Where?\n\tAnd?", "Here.")]),
    "invisible_characters": Examples([("Where is my par\u200bcel?", "Here.")], [("Where? 👩\u200d🔧", "Here."), SOUND]),
    "html": Examples([("<p>Where is it?</p>", "Here.<br>"), ("Where&nbsp;is it?", "Here.")], [("Is 3 < 4?", "Yes.")]),
    "placeholder": Examples([("Where is it?", "TODO"), ("Hello {{name}}", "Hello")], [SOUND, TALK]),
    "personal_data": Examples(
        [("I am Li Lei, 13800138000.", "Hello."), ("Where?", "We wrote to li.lei@mail.cn.")],
        [("I am Li Lei.", "We wrote to li.lei@example.com.")],
    ),
    "secret": Examples(
        [("My key is ghp_" + "a1B2c3D4e5F6" * 3, "Thank you."), ("Log in?", "password: qX7#vR2!kLp9")],
        [("My key?", "It is YOUR_API_KEY."), SOUND],
    ),
    "boilerplate_answer": Examples([("Where is it?", "As an AI language model, I cannot track parcels.")], [SOUND]),
    "repeated_answer": Examples(
        [[*pairs(60), *pairs(40, prompt="Who is {}?", completion="Please contact our customer service by e-mail.")]],
        [FREE, LABELLED],
    ),
    "host_kind": Examples([FREE], [TALK], HostKind(chat_alone())),
    "unheeded_weight": Examples(
        [chat(("user", "Hi"), ("assistant", {"content": "No", "weight": 0}), ("user", "?"), ("assistant", "Yes"))],
        [TALK, chat(("user", "Hi"), ("assistant", {"content": "Yes", "weight": 1}))],
    ),
    "token_limit": Examples(
        [("word " * 600, "word " * 500)], [("word " * 500, "word " * 500)], TokenLimit(1_000, "m on h", counted_words)
    ),
    "long_answer": Examples(
        [("Tell me", "word " * 200)], [("word " * 200, "yes"), TALK], LongAnswer(100, "m on h", counted_words)
    ),
    "leading_space": Examples([[("a?", " yes"), ("b?", " no"), ("c?", "no")]], [FREE]),
}
