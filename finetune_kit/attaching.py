"""Where a job runs that only its id is known of: the ledger remembers what this machine has started."""

from __future__ import annotations

import logging

from finetune_kit.backends import Backend, HostedBackend, LocalBackend, connect
from finetune_kit.errors import AuthenticationError, BackendError, FinetuneKitError, ParameterError, StorageError
from finetune_kit.ledger import Intent, Ledger

_log = logging.getLogger("finetune_kit")


def backend_of(job_id: str) -> Backend:
    """The backend that this machine started the job on, else the one that `connect` finds.

    `AuthenticationError` where the host's key is not in the environment, or is one of another account.
    """
    try:
        intent = next((one for one in Ledger().intents.all() if one.job_id == job_id), None)
    except StorageError as error:
        _log.warning("Where %s runs could not be looked up: %s", job_id, error)
        intent = None
    return connect() if intent is None else _place_of(intent)


def _place_of(intent: Intent) -> Backend:
    if intent.place.host == "local":
        return LocalBackend(home=intent.place.account)
    addresses = [intent.place.address or None, *intent.place.account.split(" ")[1:2], None]
    trouble: FinetuneKitError | None = None
    for address in dict.fromkeys(addresses):
        try:
            backend = HostedBackend(host=intent.place.host, base_url=address)
            if backend.account == intent.place.account:
                return backend
        except (BackendError, ParameterError) as error:
            trouble = trouble or error
    if trouble is not None:
        raise AuthenticationError(
            f"{intent.job_id} runs on {intent.place.host!r}, which cannot be asked: {trouble}"
        ) from trouble
    raise AuthenticationError(
        f"{intent.job_id} was started on {intent.place.host!r} with another key than the one in the environment. Set "
        "that one, or pass backend=HostedBackend(api_key=...)."
    )
