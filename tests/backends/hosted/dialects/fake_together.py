"""A fake of Together: `/v1/fine-tunes`, files in three steps, models as OpenAI has them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

from finetune_kit.backends import JobState
from tests.backends.hosted.dialects.fake_host import FakeHost, form_of, rows_of, state_of, unknown
from tests.backends.hosted.scripted_host import Asked, Says

STATUSES = {
    "queued": "pending",
    "validating_files": "queued",
    "running": "running",
    "succeeded": "completed",
    "failed": "user_error",
    "cancelled": "cancelled",
}
_NEEDED = (
    "training_file",
    "n_epochs",
    "batch_size",
    "learning_rate",
    "n_checkpoints",
    "lr_scheduler",
    "training_method",
)
_MOST_EPOCHS, _MOST_EVALS = 20, 100
_KNOWN = {
    *("training_file", "validation_file", "packing", "model", "n_epochs", "learning_rate", "lr_scheduler"),
    *("warmup_ratio", "max_grad_norm", "weight_decay", "n_checkpoints", "n_evals", "max_seq_length", "batch_size"),
    *("gradient_accumulation_steps", "suffix", "random_seed", "training_type", "training_method", "from_checkpoint"),
}
_METHODS = {
    "sft": {"train_on_inputs"},
    "dpo": {"dpo_beta", "dpo_normalize_logratios_by_length", "dpo_reference_free", "rpo_alpha", "simpo_gamma"},
}
_FORM = {"purpose", "file_name", "file_type", "checksum"}
_COLUMNS = (
    ({"text"}, set[str]()),
    ({"messages"}, {"tools"}),
    ({"prompt", "completion"}, set[str]()),
    ({"input", "preferred_output", "non_preferred_output"}, set[str]()),
)
"""What a row holds, and may hold besides."""


@dataclass
class FakeTogether(FakeHost):
    routes: tuple[tuple[str, str, str], ...] = (
        ("POST", "/v1/files", "reserve"),
        ("PUT", "/storage/(.+)", "store"),
        ("POST", "/v1/files/([^/]+)/preprocess", "finish"),
        ("GET", "/v1/files", "list_files"),
        ("GET", "/v1/files/([^/]+)", "get_file"),
        ("GET", "/v1/files/([^/]+)/content", "get_content"),
        ("DELETE", "/v1/files/([^/]+)", "delete_file"),
        ("GET", "/v1/fine-tunes/models/limits", "limits"),
        ("POST", "/v1/fine-tunes", "create"),
        ("GET", "/v1/fine-tunes", "list_jobs"),
        ("GET", "/v1/fine-tunes/([^/]+)", "get_job"),
        ("GET", "/v1/fine-tunes/([^/]+)/events", "events"),
        ("GET", "/v1/fine-tunes/([^/]+)/checkpoints", "checkpoints"),
        ("GET", "/v1/fine-tunes/([^/]+)/metrics", "metrics"),
        ("POST", "/v1/fine-tunes/([^/]+)/cancel", "cancel"),
        ("POST", "/v1/chat/completions", "chat"),
        ("POST", "/v1/completions", "complete"),
    )
    store_url: str = ""
    """Where files go; set when the address is known."""
    files: dict[str, dict[str, Any]] = field(default_factory=dict)
    processing: str = "COMPLETED"
    longest_suffix: int = 64
    names_with_colons: bool = False
    """As one page of the documentation has models' names, and not as its examples have them."""

    def checked(self, asked: Asked) -> Says | None:
        if asked.path.startswith("/storage/"):
            assert asked.headers.get("authorization") is None, "the store must not see the key"
            return None
        return super().checked(asked)

    def reserve(self, asked: Asked) -> Says:
        fields = {name: content.decode() for name, (_, content) in form_of(asked).items()}
        if fields.get("purpose") not in {"fine-tune", "calibration", "eval", "batch-api"}:
            return self.refusal(400, "Unable to save the file - invalid purpose specified")
        if unknown(fields, _FORM) or fields.get("file_type") not in {"csv", "jsonl", "parquet"}:
            return self.refusal(400, f"Unable to save the file: {sorted(fields)}")
        for file_id, file in self.files.items():
            if file["ready"] and file["checksum"] == fields.get("checksum"):
                return Says({"file_id": file_id, "message": "File already exists"}, 409)
        file_id = f"file-{len(self.files) + 1}"
        kept = {"filename": fields["file_name"], "checksum": fields.get("checksum"), "purpose": fields["purpose"]}
        self.files[file_id] = {**kept, "content": None, "ready": False}
        host = asked.headers["host"]
        return Says(
            None,
            302,
            {"location": f"http://{host}/storage/{file_id}?X-Amz-Signature=5ecret", "x-together-file-id": file_id},
        )

    def store(self, asked: Asked, file_id: str) -> Says:
        assert asked.query["X-Amz-Signature"] == ["5ecret"]
        assert asked.headers.get("transfer-encoding") is None, "a store like S3 takes no chunks"
        self.files[file_id]["content"] = asked.body
        return Says(b"", 200)

    def finish(self, asked: Asked, file_id: str) -> Says:
        file = self.files.get(file_id)
        if file is None or file["content"] is None:
            return self.refusal(404, f"file not found: {file_id}")
        file["ready"], file["fault"] = True, fault_of(file["content"])
        file["inner"] = self.keep(file["content"], file["filename"])
        return Says(self._file(file_id))

    def list_files(self, asked: Asked) -> Says:
        return Says({"data": [self._file(file_id) for file_id, file in self.files.items() if file["ready"]]})

    def get_file(self, asked: Asked, file_id: str) -> Says:
        return Says(self._file(file_id)) if file_id in self.files else self.refusal(404, f"file not found: {file_id}")

    def get_content(self, asked: Asked, file_id: str) -> Says:
        if file_id not in self.files:
            return self.refusal(404, f"file not found: {file_id}")
        return Says(self.files[file_id]["content"], content_type="application/binary")

    def delete_file(self, asked: Asked, file_id: str) -> Says:
        if self.files.pop(file_id, None) is None:
            return self.refusal(404, f"file not found: {file_id}")
        return Says({"id": file_id, "deleted": True})

    def _file(self, file_id: str) -> dict[str, object]:
        file = self.files[file_id]
        return {
            "id": file_id,
            "object": "file",
            "created_at": 1732573871 + int(file_id.removeprefix("file-")),
            "filename": file["filename"],
            "bytes": len(file["content"] or b""),
            "purpose": file["purpose"],
            "FileType": "jsonl",
            "processing_status": "INVALID_FORMAT" if file.get("fault") else self.processing,
            "validation_report": file.get("fault") and {"valid": False, "error": file["fault"]},
        }

    def limits(self, asked: Asked) -> Says:
        [model] = asked.query["model_name"]
        if model not in self.bases:
            return Says({"message": f"{model} is not supported for fine-tuning"})
        return Says({"model_name": model, "max_num_epochs": _MOST_EPOCHS, "lora_training": {"max_rank": 64}})

    def create(self, asked: Asked) -> Says:
        body: Any = asked.json
        strange = strange_in(body)
        if strange is not None:
            return self.refusal(400, f"Could not create the FineTune object (Binding): {strange}")
        missing = [key for key in _NEEDED if not body.get(key)]
        if missing or not isinstance(body["training_method"], dict) or not isinstance(body["lr_scheduler"], dict):
            return self.refusal(400, f"Could not create the FineTune object (Binding): {missing}")
        model = body.get("model") or body.get("from_checkpoint")
        if model not in self.bases and model not in self.models:
            return self.refusal(400, f"model {model} is not supported")
        if not 1 <= body["n_epochs"] <= _MOST_EPOCHS:
            return self.refusal(400, f"number of epochs must be between 1 and {_MOST_EPOCHS}")
        if len(body.get("suffix") or "") > self.longest_suffix:
            return self.refusal(400, f"suffix must be at most {self.longest_suffix} characters")
        files = [body["training_file"], body.get("validation_file")]
        missing = [one for one in files if one and one not in self.files]
        if missing:
            return self.refusal(400, f"training file not found: {missing[0]}")
        faulty = [one for one in files if one and self.files[one]["fault"]]
        if faulty:
            return self.refusal(400, f"file {faulty[0]} is not valid: {self.files[faulty[0]]['fault']}")
        training, validation = (one and self.files[one]["inner"] for one in files)
        state = self.begin(model, training, validation, body["n_epochs"], body.get("suffix"))
        number = len(self.jobs) + 1
        job_id = f"ft-{number:08x}-0000-4000-8000-000000000000"
        base = model.partition("/")[2]
        output = f"acme/{base}-{body['suffix']}-{number:08x}"
        if self.names_with_colons:
            output = f"acme/{base.partition(':')[0]}:{body['suffix']}:{job_id}"
        self.jobs[job_id] = {**body, "model": body.get("model"), "inner": state.id, "output": output}
        return Says(self._job(job_id, look=False))

    def list_jobs(self, asked: Asked) -> Says:
        return Says({"data": [self._job(job_id, look=False) for job_id in self.jobs]})

    def get_job(self, asked: Asked, job_id: str) -> Says:
        if job_id not in self.jobs:
            return self.refusal(404, "fine-tune job not found")
        told = self._job(job_id, look=True)
        return Says({**told, "events": self._events(job_id), "steps_completed": 1})

    def cancel(self, asked: Asked, job_id: str) -> Says:
        if job_id not in self.jobs:
            return self.refusal(404, "fine-tune job not found")
        job = self.jobs[job_id]
        if state_of(self, job, look=False).finished:
            return self.refusal(400, "job cannot be cancelled")
        self.memory.cancel(job["inner"])
        return Says(self._job(job_id, look=False))

    def events(self, asked: Asked, job_id: str) -> Says:
        if job_id not in self.jobs:
            return self.refusal(404, "fine-tune job not found")
        return Says({"data": self._events(job_id)})

    def checkpoints(self, asked: Asked, job_id: str) -> Says:
        if job_id not in self.jobs:
            return self.refusal(404, "fine-tune job not found")
        state = state_of(self, self.jobs[job_id], look=False)
        if state.status != "succeeded":
            return Says({"data": []})
        last = int(self.measured(state)[-1]["step"])
        told = {"step": last, "checkpoint_type": f"Final (step {last})", "path": "s3://…"}
        return Says({"data": [{**told, "created_at": _moment(state, "finished_at")}]})

    def metrics(self, asked: Asked, job_id: str) -> Says:
        state = state_of(self, self.jobs[job_id], look=False)
        rows = self.measured(state) if state.result_files else []
        words = {"train_loss": "train/loss", "valid_loss": "eval/loss", "step": "train/global_step"}
        return Says({"metrics": [{words.get(key, f"train/{key}"): one for key, one in row.items()} for row in rows]})

    def _events(self, job_id: str) -> list[dict[str, object]]:
        return [
            {
                "object": "fine-tune-event",
                "created_at": event.created_at.isoformat().replace("+00:00", "Z"),
                "message": event.message,
                "type": "job_error" if event.level == "error" else "job_pending",
                "level": {"warn": "warning"}.get(event.level, event.level),
                "step": event.data.get("step"),
            }
            for event in self.memory.events(self.jobs[job_id]["inner"])
        ]

    def _job(self, job_id: str, *, look: bool) -> dict[str, object]:
        job: Mapping[str, Any] = self.jobs[job_id]
        state = state_of(self, job, look=look)
        if state.fine_tuned_model is not None:
            self.trained(job["output"], state.fine_tuned_model)
        kept = ("training_file", "validation_file", "model", "suffix", "n_epochs", "learning_rate", "random_seed")
        return {
            **{key: job.get(key) for key in kept},
            "from_checkpoint": job.get("from_checkpoint"),
            "id": job_id,
            "user_id": "user-1",
            "batch_size": 8 if job["batch_size"] == "max" else job["batch_size"],
            "status": STATUSES[state.status],
            "created_at": _moment(state, "created_at"),
            "updated_at": _moment(state, "finished_at" if state.finished else "created_at"),
            "model_output_name": job["output"],
            "token_count": state.trained_tokens,
            "progress": {"estimate_available": state.status == "running", "seconds_remaining": 60},
        }


def strange_in(body: dict[str, Any]) -> str | None:
    """What the published creation of a job does not have."""
    method = body.get("training_method")
    name = method.get("method") if isinstance(method, dict) else None
    if not isinstance(method, dict) or name not in _METHODS:
        return "training_method"
    strange = unknown(body, _KNOWN) + unknown(method, {"method", *_METHODS[name]})
    if strange:
        return f"unknown field {strange[0]}"
    if ("model" in body) == ("from_checkpoint" in body):
        return "give either a model or a checkpoint"
    return None if 0 <= body.get("n_evals", 0) <= _MOST_EVALS else "n_evals"


def fault_of(content: bytes) -> str | None:
    """What is wrong with a file, by the checks that the host's own package made of it."""
    rows = rows_of(content)
    if rows is None or not rows:
        return "no JSON Lines"
    for number, row in enumerate(rows, 1):
        found = [(needed, more) for needed, more in _COLUMNS if isinstance(row, dict) and needed <= row.keys()]
        if len(found) != 1:
            return f"line {number} has {len(found)} formats"
        [(needed, more)] = found
        extra = unknown(row, needed | more)
        if extra:
            return f"Found extra column {extra[0]!r} in the line {number}"
        messages = row.get("messages", [])
        if any(one.get("role") not in {"system", "user", "assistant", "tool"} for one in messages):
            return f"line {number} has another role"
        if any(one.get("weight", 0) not in {0, 1} for one in messages):
            return "Weight must be either 0 or 1"
        if any(one["role"] == other["role"] for one, other in pairwise(messages)):
            return f"Invalid role turns on line {number}"
    return None


def _moment(state: JobState, name: str) -> str:
    return str(getattr(state, name).isoformat().replace("+00:00", "Z"))
