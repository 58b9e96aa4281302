"""What the simulated host says when it refuses, in the words and the shape of the real one."""

from __future__ import annotations

from collections.abc import Mapping

import orjson


class Refusal(Exception):  # noqa: N818 - a refusal is an answer here, not an error of ours
    """An answer that is an error; raised by routes, written by the server."""

    def __init__(
        self,
        status: int,
        message: str,
        *,
        kind: str | None = "invalid_request_error",
        param: str | None = None,
        code: str | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(message)
        self.status, self.message, self.kind, self.param, self.code = status, message, kind, param, code
        self.headers = dict(headers or {})

    @classmethod
    def invalid(cls, message: str, *, param: str | None = None, code: str | None = None, status: int = 400) -> Refusal:
        """Something is wrong with what was sent."""
        return cls(status, message, param=param, code=code)

    @classmethod
    def no_file(cls, file_id: str) -> Refusal:
        """There is no such file."""
        return cls(404, f"No such File object: {file_id}", param="id")

    @classmethod
    def no_job(cls, job_id: str) -> Refusal:
        """There is no such job."""
        message = f"Could not find fine tune: {job_id}"
        return cls(404, message, param="fine_tune_id", code="fine_tune_not_found")

    @classmethod
    def no_upload(cls, upload_id: str) -> Refusal:
        """There is no such upload."""
        return cls(404, f"No such Upload object: {upload_id}", param="upload_id")

    @classmethod
    def no_model(cls, model: str) -> Refusal:
        """There is no such model."""
        message = f"The model `{model}` does not exist or you do not have access to it."
        return cls(404, message, param="model", code="model_not_found")

    @classmethod
    def no_route(cls, method: str, path: str) -> Refusal:
        """The host has no such call."""
        return cls(404, f"Invalid URL ({method} {path})")

    @classmethod
    def wrong_key(cls, key: str) -> Refusal:
        """Part of the key comes back, as at OpenAI."""
        shown = f"{key[:8]}{'*' * max(0, len(key) - 12)}{key[-4:]}" if len(key) > 12 else "*" * len(key)
        message = (
            f"Incorrect API key provided: {shown}. You can find your API key at "
            "https://platform.openai.com/account/api-keys."
        )
        return cls(401, message, code="invalid_api_key")

    @classmethod
    def no_key(cls) -> Refusal:
        """No key was sent."""
        message = (
            "You didn't provide an API key. You need to provide your API key in an Authorization header using Bearer "
            "auth (i.e. Authorization: Bearer YOUR_KEY)."
        )
        return cls(401, message)

    @classmethod
    def wrong_azure_key(cls) -> Refusal:
        """Azure says nothing of the key."""
        message = (
            "Access denied due to invalid subscription key or wrong API endpoint. Make sure to provide a valid key for "
            "an active subscription and use a correct regional API endpoint for your resource."
        )
        return cls(401, message, kind=None, code="401")

    @classmethod
    def quota(cls) -> Refusal:
        """The money is used up."""
        message = "You exceeded your current quota, please check your plan and billing details."
        return cls(429, message, kind="insufficient_quota", code="insufficient_quota")

    @classmethod
    def training_not_available(cls) -> Refusal:
        """The organisation is cut off."""
        message = (
            "OpenAI is winding down the fine-tuning platform and your organization is no longer able to create new "
            "fine-tuning training jobs."
        )
        return cls(403, message, code="training_not_available")

    @classmethod
    def trouble(cls, status: int) -> Refusal:
        """The host is in trouble."""
        message = _TROUBLE.get(status, "The server had an error while processing your request. Sorry about that!")
        return cls(status, message, kind="server_error")

    def body(self) -> bytes:
        """As it is sent."""
        error = {"message": self.message, "type": self.kind, "param": self.param, "code": self.code}
        return orjson.dumps({"error": error})


_TROUBLE = {
    502: "Bad gateway.",
    503: "The engine is currently overloaded, please try again later.",
    529: "The server is overloaded, please try again later.",
}
