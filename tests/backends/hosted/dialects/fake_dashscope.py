"""A fake of DashScope: `/api/v1/fine-tunes` in an envelope, files and models below `/compatible-mode/v1`."""

from __future__ import annotations

import json
from collections.abc import Callable, Generator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone
from typing import Any

from finetune_kit import HostedBackend
from finetune_kit.backends import JobState
from tests.backends.hosted.dialects.fake_host import FakeHost, form_of, rows_of, state_of, unknown
from tests.backends.hosted.scripted_host import KEY, Asked, Says, ScriptedHost

BEIJING = timezone(timedelta(hours=8))
STATUSES = {
    "queued": "PENDING",
    "validating_files": "QUEUING",
    "running": "RUNNING",
    "succeeded": "SUCCEEDED",
    "failed": "FAILED",
    "cancelled": "CANCELED",
}
_NEEDED = ("n_epochs", "batch_size", "max_length")
_KNOWN = {
    *("model", "training_file_ids", "validation_file_ids", "training_datasets", "validation_datasets"),
    *("hyper_parameters", "training_type", "job_name", "model_name", "finetuned_output_suffix"),
}
_SETTINGS = {
    *("n_epochs", "batch_size", "max_length", "learning_rate", "freeze_vit", "eval_steps", "logging_steps"),
    *("lr_scheduler_type", "max_split_val_dataset_sample", "split", "warmup_ratio", "weight_decay", "lora_rank"),
    *("lora_alpha", "lora_dropout", "data_augmentation", "augmentation_types", "augmentation_ratio"),
    *("save_strategy", "save_steps", "save_total_limit"),
}
_TYPES = {"cpt", "sft", "efficient_sft", "dpo_full", "dpo_lora"}
_MESSAGE = {"role", "content", "tool_calls", "tool_call_id", "loss_weight"}


@dataclass
class FakeDashScope(FakeHost):
    routes: tuple[tuple[str, str, str], ...] = (
        ("POST", "/compatible-mode/v1/files", "upload"),
        ("GET", "/compatible-mode/v1/files", "list_files"),
        ("GET", "/compatible-mode/v1/files/([^/]+)", "get_file"),
        ("GET", "/compatible-mode/v1/files/([^/]+)/content", "get_content"),
        ("DELETE", "/compatible-mode/v1/files/([^/]+)", "delete_file"),
        ("POST", "/compatible-mode/v1/chat/completions", "chat"),
        ("POST", "/compatible-mode/v1/completions", "complete"),
        ("POST", "/api/v1/fine-tunes", "create"),
        ("GET", "/api/v1/fine-tunes", "list_jobs"),
        ("GET", "/api/v1/fine-tunes/([^/]+)", "get_job"),
        ("POST", "/api/v1/fine-tunes/([^/]+)/cancel", "cancel"),
        ("GET", "/api/v1/fine-tunes/([^/]+)/logs", "logs"),
        ("GET", "/api/v1/fine-tunes/([^/]+)/checkpoints", "checkpoints"),
    )
    bases: tuple[str, ...] = ("qwen3-8b", "qwen3-14b")
    files: dict[str, dict[str, Any]] = field(default_factory=dict)
    keeps_names: bool = True
    """Whether a job's name is the one that it was given; else it is its id, as in the documentation's examples."""

    def refusal(self, status: int, message: str, code: str | None = None) -> Says:
        if code == "model_not_available":  # of models, as OpenAI words it
            return super().refusal(status, message, "model_not_found")
        codes = {400: "InvalidParameter", 401: "InvalidApiKey", 404: "NotFound", 429: "Throttling"}
        return Says({"code": code or codes.get(status, "InternalError"), "request_id": "r", "message": message}, status)

    def upload(self, asked: Asked) -> Says:
        fields = form_of(asked)
        if unknown(fields, {"purpose", "file"}) or fields["purpose"][1] != b"fine-tune":
            return self.refusal(400, "purpose 参数错误")
        filename, content = fields["file"]
        if not filename or not filename.endswith(".jsonl") or len(content) > 300_000_000:
            return self.refusal(400, "file 参数错误")
        file_id = f"file-ft-{len(self.files) + 1}"
        self.files[file_id] = {"filename": filename, "content": content}
        return Says(self._file(file_id))

    def list_files(self, asked: Asked) -> Says:
        if "purpose" in asked.query and asked.query["purpose"] not in (["file-extract"], ["batch"]):
            return self.refusal(400, "purpose 参数错误")
        other = {"id": "file-fe-1", "object": "file", "bytes": 1, "created_at": 1, "filename": "a.pdf"}
        found = [*map(self._file, self.files), {**other, "purpose": "file-extract"}]
        return Says({"object": "list", "has_more": False, "data": found[::-1]})

    def get_file(self, asked: Asked, file_id: str) -> Says:
        return Says(self._file(file_id)) if file_id in self.files else self.refusal(404, "File not found!")

    def get_content(self, asked: Asked, file_id: str) -> Says:
        return Says(self.files[file_id]["content"]) if file_id in self.files else self.refusal(404, "File not found!")

    def delete_file(self, asked: Asked, file_id: str) -> Says:
        if self.files.pop(file_id, None) is None:
            return self.refusal(404, "File not found!")
        return Says({"object": "file", "deleted": True, "id": file_id})

    def _file(self, file_id: str) -> dict[str, object]:
        file = self.files[file_id]
        return {
            "id": file_id,
            "object": "file",
            "bytes": len(file["content"]),
            "created_at": 1732573871 + int(file_id.rpartition("-")[2]),
            "filename": file["filename"],
            "purpose": "fine-tune",
            "status": "processed",
            "status_details": None,
        }

    def create(self, asked: Asked) -> Says:
        body: Any = asked.json
        settings = body.get("hyper_parameters", {})
        strange = unknown(body, _KNOWN) + unknown(settings, _SETTINGS)
        if strange or body.get("training_type", "sft") not in _TYPES:
            return self.refusal(400, f"参数错误: {strange}")
        missing = [key for key in _NEEDED if key not in settings]
        lost = [
            one for one in [*body["training_file_ids"], *body.get("validation_file_ids", [])] if one not in self.files
        ]
        if missing or lost:
            return self.refusal(400, f"Missing {missing or 'training files'}")
        if settings["n_epochs"] < 1 or not 8 <= settings["batch_size"] <= 1024:
            return self.refusal(400, "n_epochs / batch_size 参数错误")
        model = body["model"]
        if model not in self.bases and model not in self.models:
            return self.refusal(400, f"模型 {model} 不支持调优")
        training = self._kept(body["training_file_ids"][0], body, more_than=settings["batch_size"])
        validation = self._kept(body["validation_file_ids"][0], body) if body.get("validation_file_ids") else None
        suffix = body.get("finetuned_output_suffix")
        state = self.begin(model, training, validation, body["hyper_parameters"]["n_epochs"], suffix)
        job_id = f"ft-{_moment(state.created_at, '%Y%m%d%H%M')}-{len(self.jobs) + 1:04x}"
        output = "-".join(filter(None, (model, suffix, job_id)))
        self.jobs[job_id] = {**body, "inner": state.id, "output": output}
        return Says({"request_id": "r", "output": self._job(job_id, look=False)})

    def _kept(self, file_id: str, body: dict[str, Any], *, more_than: int = 0) -> str:
        """In the memory's form, which has other names for pairs of answers; what is wrong makes the job fail."""
        file = self.files[file_id]
        pairs = str(body.get("training_type")).startswith("dpo")
        rows = [_row(row, pairs=pairs) for row in rows_of(file["content"]) or [{}]]
        held = int(0.2 * len(rows)) if more_than and not body.get("validation_file_ids") else 0
        if len(rows) - held <= more_than:
            rows = [{"neither": "fewer examples than one batch holds"}]
        return self.keep(b"\n".join(json.dumps(row).encode() for row in rows), file["filename"])

    def list_jobs(self, asked: Asked) -> Says:
        page, size = (int(asked.query[key][0]) for key in ("page_no", "page_size"))
        assert 1 <= size <= 100
        newest_first = [self._job(job_id, look=False) for job_id in reversed(self.jobs)]
        output = {"page_no": page, "page_size": size, "total": len(newest_first)}
        return Says({"request_id": "r", "output": {**output, "jobs": newest_first[(page - 1) * size : page * size]}})

    def get_job(self, asked: Asked, job_id: str) -> Says:
        if job_id not in self.jobs:
            return self.refusal(404, "Not Found!")
        return Says({"request_id": "r", "output": self._job(job_id, look=True)})

    def cancel(self, asked: Asked, job_id: str) -> Says:
        if job_id not in self.jobs:
            return self.refusal(404, "Not Found!")
        if state_of(self, self.jobs[job_id], look=False).finished:
            message = "The fine-tune job can not be canceled because it is succeeded,failed or canceled"
            return self.refusal(400, message, "UnsupportedOperation")
        self.memory.cancel(self.jobs[job_id]["inner"])
        return Says({"request_id": "r", "output": {"status": "success"}})

    def logs(self, asked: Asked, job_id: str) -> Says:
        if job_id not in self.jobs:
            return self.refusal(404, "Not Found!")
        offset, line = (int(asked.query[key][0]) for key in ("offset", "line"))
        assert 1 <= line <= 1000
        lines: list[str] = []
        for event in self.memory.events(self.jobs[job_id]["inner"]):
            if event.type == "metrics":
                lines.append(str({"loss": event.data["train_loss"], "learning_rate": 1.6e-05, "epoch": 0.5}))
                if "full_valid_loss" in event.data:
                    lines.append(str({"eval_loss": event.data["full_valid_loss"]}))
            else:
                stamp = _moment(event.created_at, "%Y-%m-%d %H:%M:%S,%f")[:-3]
                lines.append(f"{stamp} - {event.level.upper()} - {event.message}")
        return Says({"request_id": "r", "output": {"total": len(lines), "logs": lines[offset : offset + line]}})

    def checkpoints(self, asked: Asked, job_id: str) -> Says:
        if job_id not in self.jobs:
            return self.refusal(404, "Not Found!")
        state = state_of(self, self.jobs[job_id], look=False)
        if state.finished_at is None or state.fine_tuned_model is None:
            return Says({"request_id": "r", "output": []})
        told = {"job_id": job_id, "create_time": _moment(state.finished_at, "%Y-%m-%dT%H:%M:%S")}
        last = {"checkpoint": "checkpoint-20", "model_name": self.jobs[job_id]["output"], "status": "SUCCEEDED"}
        before = {"checkpoint": "checkpoint-10", "status": "PENDING"}
        return Says({"request_id": "r", "output": [{**told, **one} for one in (last, before)]})

    def _job(self, job_id: str, *, look: bool) -> dict[str, object]:
        job = self.jobs[job_id]
        state = state_of(self, job, look=look)
        if state.fine_tuned_model is not None:
            self.trained(job["output"], state.fine_tuned_model)
        told: dict[str, object] = {
            "job_id": job_id,
            "job_name": job["job_name"] if self.keeps_names else job_id,
            "status": STATUSES[state.status],
            "finetuned_output": job["output"],
            "model": job["model"],
            "base_model": "qwen3-8b",
            "training_file_ids": job["training_file_ids"],
            "validation_file_ids": job.get("validation_file_ids", []),
            "hyper_parameters": job["hyper_parameters"],
            "training_type": job["training_type"],
            "create_time": _moment(state.created_at, "%Y-%m-%d %H:%M:%S"),
            "group": "llm",
        }
        return {**told, **_ended(state)}


def _ended(state: JobState) -> dict[str, object]:
    if state.finished_at is None:
        return {}
    ended: dict[str, object] = {"end_time": _moment(state.finished_at, "%Y-%m-%d %H:%M:%S")}
    if state.fault is not None:
        return {**ended, "code": "DataValidationFailed", "message": f"训练数据格式错误: {state.fault.message}"}
    return {**ended, "usage": state.trained_tokens or 0}


def _moment(value: datetime, pattern: str) -> str:
    return value.astimezone(BEIJING).strftime(pattern)


def _row(row: Any, *, pairs: bool) -> dict[str, Any]:
    needed = {"messages", "chosen", "rejected"} if pairs else {"messages"}
    if not isinstance(row, dict) or not needed <= row.keys() or unknown(row, needed | {"tools"}):
        return {"neither": ""}
    messages = [*row["messages"], *([row["chosen"], row["rejected"]] if pairs else [])]
    if any(unknown(message, _MESSAGE) for message in messages):
        return {"neither": ""}
    if pairs:
        chosen, rejected = [row["chosen"]], [row["rejected"]]
        return {"input": {"messages": row["messages"]}, "preferred_output": chosen, "non_preferred_output": rejected}
    return row


@contextmanager
def serving_dashscope(fake: FakeDashScope, **more: Any) -> Generator[tuple[HostedBackend, ScriptedHost]]:
    """A backend of a fake that listens."""
    server = ScriptedHost(fake.answer)
    try:
        with HostedBackend(KEY, server.url.removesuffix("/v1"), "dashscope", **more) as backend:
            yield backend, server
    finally:
        server.close()


Fault = Callable[[Asked], Says | None]
