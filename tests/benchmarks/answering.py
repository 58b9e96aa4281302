"""How fast a fine-tuned model answers, beside `generate` of transformers on the same prompts in the same run.

    python -m tests.benchmarks.answering --home FOLDER [--answers 100] [--training 12]

The model is fine-tuned on banking77 in FOLDER the first time, with all 77 intents as its labels, and asked held-out
messages. The peer has its adapter merged into bfloat16 weights and the same number of threads; it is called for each
prompt in the best of its settings (attention, cache), and with many prompts, of like length and padded at the left, in
its best batch size. Answers are greedy, and end with the token that ends a label. Ours is measured before the peer and
after it, in a process of its own, with nothing kept of the prompts from the time before.

Told too: `classify` over 77 labels beside writing the label, the time to the first token, and how long a stream stands
still while another caller's long prompt is read.
"""

from __future__ import annotations

import argparse
import json
import random
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

from finetune_kit import Dataset, LocalBackend, ModelClient, Split
from tests.benchmarks.banking import DATA, few_intents, messages

SUFFIX = "answering"
MOST_TOKENS = 24
"""An intent takes 2 to 12."""
BATCHES = (8, 16, 32, 64, 100)
READS = (30, 1_500)
"""Tokens of prompts after which the first token is waited for."""
LONG_TOKENS = 6_000
STREAMED_TOKENS = 600


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--home", type=Path, required=True, help="where the weights lie or are fetched to")
    parser.add_argument("--data", type=Path, default=DATA)
    parser.add_argument("--answers", type=int, default=100)
    parser.add_argument("--training", type=int, default=12, help="rows of each intent")
    parser.add_argument("--ours", type=Path, help="internal: measure ours in this process, and write down the task")
    parser.add_argument("--peer", type=Path, help="internal: measure the peer in this process, by what is written down")
    options = parser.parse_args()
    train, held_out = few_intents(messages(options.data), intents=77, training=options.training, held_out=3, seed=0)
    random.Random(0).shuffle(held_out)
    asked = held_out[: options.answers]
    if options.ours:
        print(json.dumps(_ours(options.home, asked, options.ours)))
    elif options.peer:
        print(json.dumps(_peer(json.loads(options.peer.read_text(encoding="utf-8")))))
    else:
        trained(options.home, train)
        with tempfile.TemporaryDirectory() as folder:
            again = ["--home", str(options.home), "--data", str(options.data), "--answers", str(options.answers)]
            task = str(Path(folder) / "task.json")
            runs = [_run([*again, side, task]) for side in ("--ours", "--peer", "--ours")]
        _tell(*runs, labels=[label for _, label in asked])


def trained(home: Path, rows: Sequence[tuple[str, str]]) -> ModelClient:
    """The model of an earlier run in this home, else a new one."""
    backend = LocalBackend(home, progress=lambda what, share: None)
    for earlier in backend.jobs():
        if earlier.fine_tuned_model is not None and f":{SUFFIX}:" in earlier.fine_tuned_model:
            return ModelClient(earlier.fine_tuned_model, backend)
    split = Split(training=Dataset.from_records(rows))
    job = split.train("smollm2-135m", backend=backend, suffix=SUFFIX, n_epochs=2, batch_size=16)
    return job.wait(timeout_seconds=1_800).model()


def _run(options: list[str]) -> dict[str, Any]:
    """One side in a process of its own; ours as the engine sets its threads, the peer as it comes."""
    command = [sys.executable, "-m", "tests.benchmarks.answering", *options]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(f"it failed:\n{done.stderr[-3000:]}")
    found: dict[str, Any] = json.loads(done.stdout.strip().splitlines()[-1])
    return found


def timed(work: Callable[[], Any]) -> tuple[Any, float]:
    """What came of it, and seconds."""
    start = time.perf_counter()
    result = work()
    return result, time.perf_counter() - start


def _ours(home: Path, asked: Sequence[tuple[str, str]], task: Path) -> dict[str, Any]:
    texts = [text for text, _ in asked]

    def fresh() -> ModelClient:
        """The model with nothing kept of earlier prompts."""
        model = trained(home, [])
        model.complete_many(["warm up", "warm", "up"], max_tokens=4)
        model.classify("warm up")
        return model

    found: dict[str, Any] = {}
    model = fresh()
    answers, found["together"] = timed(lambda: model.complete_many(texts, max_tokens=MOST_TOKENS))
    model = fresh()
    _, found["alone"] = timed(lambda: [model.complete(text, max_tokens=MOST_TOKENS) for text in texts])
    model = fresh()
    labels, found["classify together"] = timed(lambda: model.classify_many(texts))
    model = fresh()
    _, found["classify alone"] = timed(lambda: [model.classify(text) for text in texts])
    found["answers"], found["labels"] = answers, [label.label for label in labels]
    found["tokens"] = statistics.mean(answer.generation.completion_tokens for answer in answers)
    found["first"] = {str(count): _first(model, count, texts) for count in READS}
    found["stall"] = _stall(ModelClient("smollm2-135m", LocalBackend(home)), texts)
    _write_task(model, home, texts, task)
    return found


def _first(model: ModelClient, count: int, texts: Sequence[str]) -> float:
    """Seconds to the first piece of a stream after a prompt of about `count` tokens, no two beginning alike."""
    seconds: list[float] = []
    for number in range(8):
        prompt = filled(count, texts, number)
        seconds.append(timed(lambda prompt=prompt: next(iter(model.stream(prompt, max_tokens=4))))[1])  # type: ignore[misc]
    return statistics.median(seconds)


def filled(count: int, texts: Sequence[str], number: int) -> str:
    """A text of about `count` tokens, which begins as no other."""
    words = " ".join([f"{number}{number} asks:", *texts[number:], *list(texts) * 20]).split()
    return " ".join(words[: round(count / 1.25)])


def _stall(model: ModelClient, texts: Sequence[str]) -> dict[str, float]:
    """Seconds between the pieces of a stream, alone and while a long prompt is read."""
    times: list[float] = []
    asked = threading.Event()
    marks: dict[str, float] = {}

    def read_long() -> None:
        asked.wait()
        marks["begin"] = time.perf_counter()
        list(model.stream(filled(LONG_TOKENS, texts, 7), max_tokens=1))
        marks["end"] = time.perf_counter()

    model.complete("warm up", max_tokens=4)
    thread = threading.Thread(target=read_long)
    thread.start()
    story = "Write a long story about a parcel that travels around the world, with all its stations."
    for _ in model.stream(story, max_tokens=STREAMED_TOKENS, temperature=1.0, seed=1):
        times.append(time.perf_counter())
        if len(times) == 30:
            asked.set()
        if "end" in marks and times[-1] > marks["end"] + 0.2:
            break
    asked.set()
    thread.join()
    gaps = [(end, end - start) for start, end in pairwise(times)]
    during = [gap for end, gap in gaps if marks["begin"] <= end and end - gap <= marks["end"]]
    before = [gap for end, gap in gaps if end < marks["begin"]]
    return {
        "usual": statistics.median(before),
        "longest": max(during, default=0.0),
        "pieces": len(during),
        "read": marks["end"] - marks["begin"],
    }


def _write_task(model: ModelClient, home: Path, texts: Sequence[str], task: Path) -> None:
    """What the peer is to do."""
    import torch
    from transformers import AutoTokenizer

    backend = LocalBackend(home)
    base = home / "bases" / "smollm2-135m"
    tokenizer = AutoTokenizer.from_pretrained(base)
    template = model.card.template
    assert template is not None

    def encode(text: str) -> list[int]:
        tokens: list[int] = tokenizer.encode(template.prompt(text), add_special_tokens=False)
        return tokens

    (newline,) = tokenizer.encode(template.stop, add_special_tokens=False)
    reads = {count: [encode(filled(count, texts, number)) for number in range(8)] for count in READS}
    record = backend._store.model(model.name)
    assert record is not None
    facts = {
        "base": str(base),
        "adapter": str(home / record.folder),
        "threads": torch.get_num_threads(),
        "ends": [tokenizer.eos_token_id, newline],
        "prompts": [encode(text) for text in texts],
        "reads": reads,
    }
    task.write_text(json.dumps(facts), encoding="utf-8")


def _peer(task: dict[str, Any]) -> dict[str, Any]:
    import torch
    from peft import PeftModel
    from transformers import AutoModelForCausalLM, AutoTokenizer

    torch.set_num_threads(task["threads"])
    tokenizer = AutoTokenizer.from_pretrained(task["base"])
    prompts: list[list[int]] = task["prompts"]

    def load(attention: str) -> Any:
        base = AutoModelForCausalLM.from_pretrained(task["base"], dtype=torch.bfloat16, attn_implementation=attention)
        return PeftModel.from_pretrained(base, task["adapter"], autocast_adapter_dtype=False).merge_and_unload().eval()

    def answer(model: Any, rows: Sequence[list[int]], most: int = MOST_TOKENS, **more: Any) -> list[str]:
        longest = max(map(len, rows))
        filler = task["ends"][0]
        ids = torch.tensor([[filler] * (longest - len(row)) + row for row in rows])
        mask = torch.tensor([[0] * (longest - len(row)) + [1] * len(row) for row in rows])
        with torch.inference_mode():
            out = model.generate(
                ids,
                attention_mask=mask,
                max_new_tokens=most,
                do_sample=False,
                eos_token_id=task["ends"],
                pad_token_id=filler,
                **more,
            )
        return [str(text).strip() for text in tokenizer.batch_decode(out[:, longest:], skip_special_tokens=True)]

    settings: dict[str, tuple[str, dict[str, Any]]] = {
        "sdpa": ("sdpa", {}),
        "eager": ("eager", {}),
        "sdpa, static cache": ("sdpa", {"cache_implementation": "static"}),
    }
    tried: dict[str, float] = {}
    for name, (attention, more) in settings.items():
        model = load(attention)
        answer(model, prompts[:1], **more)
        tried[name] = timed(lambda: [answer(model, [row], **more) for row in prompts[:12]])[1] / 12  # noqa: B023
    best = min(tried, key=lambda name: tried[name])
    attention, more = settings[best]
    model = load(attention)
    answer(model, prompts[:1], **more)
    found: dict[str, Any] = {"setting": best, "tried": tried, "batches": {}}
    alone, found["alone"] = timed(lambda: [answer(model, [row], **more)[0] for row in prompts])
    found["answers"] = alone
    model = load("sdpa")
    order = sorted(prompts, key=len)
    for size in BATCHES:
        answer(model, order[:size])
        batches = [order[start : start + size] for start in range(0, len(order), size)]
        found["batches"][str(size)] = timed(lambda: [answer(model, rows) for rows in batches])[1]  # noqa: B023
    found["first"] = {
        count: statistics.median(timed(lambda row=row: answer(model, [row], most=1))[1] for row in rows)  # type: ignore[misc]
        for count, rows in task["reads"].items()
    }
    return found


def _tell(before: dict[str, Any], peer: dict[str, Any], after: dict[str, Any], *, labels: Sequence[str]) -> None:
    count = len(labels)

    def both(name: str) -> str:
        return f"{before[name]:.2f} s, {after[name]:.2f} s"

    def times(other: float, name: str) -> str:
        return f"{other / before[name]:.1f}, {other / after[name]:.1f}"

    def right(found: Sequence[str]) -> str:
        return f"{sum(a == b for a, b in zip(found, labels, strict=True)) / count:.0%}"

    size = min(peer["batches"], key=lambda one: peer["batches"][one])
    batched = peer["batches"][size]
    same = sum(a == b for a, b in zip(before["answers"], peer["answers"], strict=True))
    print(f"{count} answers of {before['tokens']:.1f} tokens on average; ours before the peer, and after it")
    print(f"ours, together: {both('together')}; {right(before['answers'])} right")
    print(f"ours, one at a time: {both('alone')}")
    print(f"generate for each prompt ({peer['setting']}): {peer['alone']:.2f} s; {right(peer['answers'])} right")
    print(f"  settings, seconds for one: {', '.join(f'{name} {s:.3f}' for name, s in peer['tried'].items())}")
    print(f"generate in batches of {size}: {batched:.2f} s")
    print(f"  sizes: {', '.join(f'{one}: {s:.2f}' for one, s in peer['batches'].items())}")
    print(f"{same} of {count} answers the same")
    print(f"ours together is as fast as generate for each prompt times {times(peer['alone'], 'together')}")
    print(f"ours together is as fast as generate in batches times {times(batched, 'together')}")
    print(f"ours one at a time is as fast as generate for each prompt times {times(peer['alone'], 'alone')}")
    print(f"classify_many: {both('classify together')}; {right(before['labels'])} right")
    print(f"classify, one at a time: {both('classify alone')}")
    for name in ("classify together", "classify alone"):
        print(
            f"{name} is as fast as generate for each prompt times {times(peer['alone'], name)}, as generate in batches "
            f"times {times(batched, name)}, as our own complete one at a time times "
            f"{before['alone'] / before[name]:.1f}, {after['alone'] / after[name]:.1f}"
        )
    for tokens, seconds in peer["first"].items():
        print(
            f"first token after {tokens} tokens: ours {before['first'][tokens]:.3f}, {after['first'][tokens]:.3f} s; "
            f"generate {seconds:.3f} s"
        )
    for run in (before, after):
        stall = run["stall"]
        print(
            f"a stream while another's {LONG_TOKENS:,} tokens are read for {stall['read']:.2f} s: {stall['pieces']} "
            f"pieces, the longest wait {stall['longest']:.3f} s; before that {stall['usual']:.3f} s each"
        )


if __name__ == "__main__":
    main()
