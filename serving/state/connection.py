"""Connections to the control Redis: every operation ends within a second, and nothing retries behind our back."""

from __future__ import annotations

import redis
import redis.asyncio
from redis.asyncio.retry import Retry as AsyncRetry
from redis.backoff import NoBackoff
from redis.exceptions import RedisError
from redis.retry import Retry

from serving.errors import ConfigInvalid

OPERATION_S = 1.0

# What a server that is dead, stopped, loading or not ours may raise out of any operation.
UNREACHABLE = (RedisError, OSError, TimeoutError)


def connect(url: str) -> redis.asyncio.Redis:
    """A client for the gateway's loop; it connects with its first operation.

    Raises:
        ConfigInvalid: no URL of a Redis.
    """
    try:
        return redis.asyncio.Redis.from_url(
            url,
            socket_timeout=OPERATION_S,
            socket_connect_timeout=OPERATION_S,
            retry=AsyncRetry(NoBackoff(), 0),
        )
    except ValueError as error:
        raise ConfigInvalid(_no_url(url)) from error


def connect_blocking(url: str) -> redis.Redis:
    """A client for a thread of its own; it connects with its first operation.

    Raises:
        ConfigInvalid: no URL of a Redis.
    """
    try:
        return redis.Redis.from_url(
            url,
            socket_timeout=OPERATION_S,
            socket_connect_timeout=OPERATION_S,
            retry=Retry(NoBackoff(), 0),
        )
    except ValueError as error:
        raise ConfigInvalid(_no_url(url)) from error


def problem_with(url: str) -> str:
    """Why the server cannot be reached now, in a few words; "" when it answers. Takes two seconds at most.

    Raises:
        ConfigInvalid: no URL of a Redis.
    """
    client = connect_blocking(url)
    try:
        client.ping()
    except UNREACHABLE as error:
        return f"{type(error).__name__}: {error}"
    finally:
        client.close()
    return ""


def _no_url(url: str) -> str:
    # The URL may carry a password: only what stands before the address is repeated.
    scheme = url.partition("://")[0] if "://" in url else "no scheme"
    return f"the control state's URL ({scheme}) must begin with redis://, rediss:// or unix://"
