"""
A connection to an S3 service that goes only where it may.

Source: the documentation of s3fs and aiobotocore.
"""

from __future__ import annotations

import socket
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import fsspec
from aiohttp.abc import AbstractResolver
from botocore.exceptions import BotoCoreError, NoCredentialsError, ParamValidationError

from discovery.local_paths import tell_os_error
from pipeline.errors import CeleriacError, SourceRejectedError, SourceUnavailableError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from aiohttp.abc import ResolveResult

    from net.guard import Guard

CONNECT_SECONDS, READ_SECONDS = 10, 60
_OVERLOADED = frozenset({"SlowDown", "ServiceUnavailable", "InternalError", "RequestTimeout", "500", "503"})


class GuardedResolver(AbstractResolver):
    """Looks up the addresses of hosts, and gives those that the guard has checked."""

    def __init__(self, guard: Guard) -> None:
        self._guard = guard

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        """Look up a host. Raises as the guard does."""
        del family
        return [
            {
                "hostname": host,
                "host": address,
                "port": port,
                "family": socket.AF_INET6 if ":" in address else socket.AF_INET,
                "proto": 0,
                "flags": socket.AI_NUMERICHOST,
            }
            for address in await self._guard.resolve(host, port)
        ]

    async def close(self) -> None:
        """Close nothing: nothing is open."""


@contextmanager
def open_s3(guard: Guard, options: dict[str, Any]) -> Iterator[Any]:
    """Give an s3fs file system that remembers nothing, and close its connections; `options` are s3fs's own."""
    bounds = {
        "connect_timeout": CONNECT_SECONDS,
        "read_timeout": READ_SECONDS,
        "retries": {"max_attempts": 2},
        "proxies": {},  # left out, they are those of the environment, which would look up the hosts themselves
        "connector_args": {"resolver": GuardedResolver(guard)},
    }
    store = fsspec.filesystem(
        "s3", skip_instance_cache=True, use_listings_cache=False, config_kwargs=bounds, **options
    )
    try:
        yield store
    finally:
        if store._s3 is not None:  # noqa: SLF001 - s3fs closes it only when the garbage is collected
            fsspec.asyn.sync(store.loop, store._s3.close)  # noqa: SLF001


@contextmanager
def telling(where: str) -> Iterator[None]:
    """Turn what s3fs raises into errors of a source."""
    try:
        yield
    except NoCredentialsError as error:
        raise SourceRejectedError(
            f"{where}: no credentials; set AWS_ACCESS_KEY_ID, or anonymous: true"
        ) from error
    except ParamValidationError as error:
        raise SourceRejectedError(f"{where}: {error}") from error
    except (BotoCoreError, OSError) as error:
        for cause in _list_causes(error):
            if isinstance(cause, CeleriacError):
                raise cause from error
        if isinstance(error, BotoCoreError | TimeoutError) or _find_code(error) in _OVERLOADED:
            raise SourceUnavailableError(f"{where}: {tell_os_error(error)}") from error
        raise SourceRejectedError(f"{where}: {tell_os_error(error)}") from error


def _list_causes(error: BaseException | None) -> Iterator[BaseException]:
    for _ in range(10):
        if error is None:
            return
        yield error
        told = getattr(error, "kwargs", {}).get("error")  # where botocore keeps what it wraps
        error = told if isinstance(told, BaseException) else error.__cause__ or error.__context__


def _find_code(error: BaseException) -> str:
    for cause in _list_causes(error):
        code = getattr(cause, "response", {}).get("Error", {}).get("Code")
        if code is not None:
            return str(code)
    return ""
