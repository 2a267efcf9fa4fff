"""Which servers keep the features, read from one URL: a node, a cluster, or the Sentinels that know the node."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Literal
from urllib.parse import parse_qsl, quote, unquote, urlencode

from serving.errors import ConfigInvalid
from serving.features.store.redis_address import RedisAddress, no_url, parse

Kind = Literal["node", "cluster", "sentinel"]

_KINDS: Mapping[str, tuple[Kind, str]] = {
    "redis": ("node", "redis"),
    "rediss": ("node", "rediss"),
    "unix": ("node", "unix"),
    "redis+cluster": ("cluster", "redis"),
    "rediss+cluster": ("cluster", "rediss"),
    "redis+sentinel": ("sentinel", "redis"),
    "rediss+sentinel": ("sentinel", "rediss"),
}
SCHEMES = tuple(_KINDS)
_SENTINEL_PORT = 26379
_SENTINEL_LOGIN = ("sentinel_username", "sentinel_password")
_READ_FROM = ("master", "replica")


@dataclass(frozen=True, slots=True)
class StoreAddress:
    """`known` are the node itself, some nodes of the cluster, or the Sentinels of `service`.

    `node` tells how to get into any node; its host and port are those of the first known one.
    """

    kind: Kind
    node: RedisAddress
    known: tuple[RedisAddress, ...]
    service: str = ""
    from_replica: bool = False

    def at(self, host: str, port: int) -> RedisAddress:
        """The node there."""
        return replace(self.node, host=host, port=port, path="")


def parse_store(url: str) -> StoreAddress:
    """The address of `redis[s]://` or `unix://`, of `redis[s]+cluster://host:port,host:port`, or of
    `redis[s]+sentinel://host:port,host:port/service/db`.

    Raises:
        ConfigInvalid: no such URL; the text repeats nothing that may be a secret.
    """
    scheme, _, rest = url.partition("://")
    if scheme not in _KINDS:
        raise ConfigInvalid(no_url(f"must begin with {'://, '.join(SCHEMES[:-1])}:// or {SCHEMES[-1]}://"))
    kind, plain = _KINDS[scheme]
    body, _, query = rest.partition("?")
    options = dict(parse_qsl(query, keep_blank_values=True))
    from_replica = options.pop("read_from", _READ_FROM[0])
    if from_replica not in _READ_FROM:
        raise ConfigInvalid(no_url(f"has another read_from than {' or '.join(_READ_FROM)}"))
    node = StoreAddress(kind, RedisAddress(), (), from_replica=from_replica == "replica")
    if kind == "node":
        address = parse(_url(plain, body, options))
        return replace(node, node=address, known=(address,))
    return (_cluster if kind == "cluster" else _sentinel)(node, plain, body, options)


def _cluster(store: StoreAddress, plain: str, body: str, options: dict[str, str]) -> StoreAddress:
    login, hosts, database = _parts(body)
    nodes = [parse(_url(plain, one, options)) for one in _each(login, hosts, database)]
    if any(node.db for node in nodes):
        raise ConfigInvalid(no_url("names a database; a cluster has only database 0"))
    return replace(store, node=nodes[0], known=tuple(nodes))


def _sentinel(store: StoreAddress, plain: str, body: str, options: dict[str, str]) -> StoreAddress:
    login, hosts, path = _parts(body)
    service, _, database = path.partition("/")
    if not service:
        raise ConfigInvalid(no_url("names no service; write redis+sentinel://host:port,host:port/service"))
    own_login = [options.pop(name, "") for name in _SENTINEL_LOGIN]
    bodies = _each(login, hosts, database)
    node = parse(_url(plain, bodies[0], options))
    sentinels = [
        replace(
            parse(_url(plain, one, options)),
            port=_port(one, _SENTINEL_PORT),
            db=0,
            username=own_login[0],
            password=own_login[1],
        )
        for one in bodies
    ]
    return replace(store, node=node, known=tuple(sentinels), service=unquote(service))


def _parts(body: str) -> tuple[str, str, str]:
    login, _, place = body.rpartition("@")
    hosts, _, path = place.partition("/")
    return login, hosts, path.strip("/")


def _each(login: str, hosts: str, database: str) -> list[str]:
    """`user:word`, `a:1,b:2` and `0` as one for each host."""
    at = f"{login}@" if login else ""
    return [f"{at}{host}/{database}" for host in hosts.split(",")]


def _port(body: str, default: int) -> int:
    host = body.rpartition("@")[2].partition("/")[0]
    return parse(f"redis://{host}").port if host.rpartition("]")[2].count(":") else default


def _url(scheme: str, body: str, options: Mapping[str, str]) -> str:
    return f"{scheme}://{body}" + (f"?{urlencode(options, quote_via=quote)}" if options else "")
