"""URLs of single servers, of clusters and of Sentinels."""

from __future__ import annotations

import pytest

from serving.errors import ConfigInvalid
from serving.features.store.store_address import parse_store


def test_a_single_server_is_one_node() -> None:
    store = parse_store("redis://user:w%40rd@host:7/3")
    assert (store.kind, store.known, store.service) == ("node", (store.node,), "")
    assert (store.node.host, store.node.port, store.node.db) == ("host", 7, 3)
    assert (store.node.username, store.node.password) == ("user", "w@rd")
    assert parse_store("unix://:word@/run/v.sock?db=1").node.path == "/run/v.sock"


def test_a_cluster_is_known_by_any_of_its_nodes() -> None:
    store = parse_store("rediss+cluster://user:word@a:1,b,[::1]:3?ssl_ca_certs=/ca.pem&read_from=replica")
    assert store.kind == "cluster"
    assert [(node.host, node.port) for node in store.known] == [("a", 1), ("b", 6379), ("::1", 3)]
    there = store.at("c", 9)
    assert (there.host, there.port, there.password, there.tls) == ("c", 9, "word", {"ssl_ca_certs": "/ca.pem"})
    assert store.from_replica
    assert not parse_store("redis+cluster://a,b").from_replica


def test_sentinels_have_a_login_of_their_own_and_know_a_service() -> None:
    url = "redis+sentinel://user:word@a,b:2,[::1]/my%20rows/3?sentinel_username=s&sentinel_password=t"
    store = parse_store(url)
    assert (store.kind, store.service) == ("sentinel", "my rows")
    assert [(one.host, one.port, one.db) for one in store.known] == [("a", 26379, 0), ("b", 2, 0), ("::1", 26379, 0)]
    assert {(one.username, one.password) for one in store.known} == {("s", "t")}
    master = store.at("m", 6379)
    assert (master.username, master.password, master.db) == ("user", "word", 3)
    assert parse_store("redis+sentinel://:word@a/rows").known[0].login == ()


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("secret@host", "must begin with redis://, rediss://, unix://, redis+cluster://"),
        ("redis+cluster://u:secret@a/1", "a cluster has only database 0"),
        ("redis+cluster://u:secret@a?db=1", "a cluster has only database 0"),
        ("redis+cluster://u:secret@a:x,b", "a port or a database that is no number"),
        ("redis+cluster://u:secret@a?sentinel_password=secret", "has the option 'sentinel_password'"),
        ("redis+sentinel://u:secret@a,b", "write redis+sentinel://host:port,host:port/service"),
        ("redis+sentinel://u:secret@a,b/rows/x", "a port or a database that is no number"),
        ("redis://u:secret@a?read_from=both", "another read_from than master or replica"),
    ],
)
def test_what_is_no_address_is_refused_without_repeating_it(url: str, said: str) -> None:
    with pytest.raises(ConfigInvalid) as refused:
        parse_store(url)
    assert said in refused.value.message
    assert "secret" not in refused.value.message
