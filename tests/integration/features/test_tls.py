"""The features Redis over TLS, with passwords and client certificates: a real Valkey behind a proxy that speaks TLS."""

from __future__ import annotations

import asyncio
import logging
import ssl
from collections.abc import AsyncIterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import trustme

from serving.errors import ConfigInvalid, FeaturesAway, Unavailable
from serving.features.feature_view import FeatureView, feature
from serving.features.store import blocking_client
from serving.features.store.redis_address import parse
from serving.features.store.redis_store import EntityRow, RedisStore
from tests.integration.features.slow_proxy import SlowProxy
from tests.integration.features.test_node_reader import PATIENT_S, Reader
from tests.integration.valkey_server import Server

pytestmark = pytest.mark.integration

PLANE = FeatureView("plane", ("tailnum",), (feature("seats", "int64"),))
# Every character that an address gives a meaning to.
PASSWORD = "p@:/?#&=%+ word"
ENCODED = "p%40%3A%2F%3F%23%26%3D%25%2B%20word"


@dataclass(frozen=True)
class Authority:
    """Who signs certificates here, and its own certificate in a file."""

    signing: trustme.CA
    file: Path

    @classmethod
    def made(cls, file: Path) -> Authority:
        signing = trustme.CA()
        signing.cert_pem.write_to_path(str(file))
        return cls(signing, file)

    def client(self, folder: Path) -> str:
        """The options of an address that show a certificate of ours."""
        issued = self.signing.issue_cert("sluice@example.org")
        issued.cert_chain_pems[0].write_to_path(str(folder / "client.pem"))
        issued.private_key_pem.write_to_path(str(folder / "client.key"))
        return f"&ssl_certfile={folder}/client.pem&ssl_keyfile={folder}/client.key"


class Secured:
    """Listens with a certificate for `host`; wants one of its callers too where `mutual`."""

    def __init__(self, server: Server, authority: Authority) -> None:
        self._proxy = SlowProxy(server.socket, server.socket)
        self._authority = authority
        self.port = 0

    async def start(self, host: str = "localhost", *, expired: bool = False, mutual: bool = False) -> int:
        ends = datetime.now(UTC) + timedelta(days=-1 if expired else 1)
        issued = self._authority.signing.issue_cert(host, not_before=ends - timedelta(days=9), not_after=ends)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        issued.configure_cert(context)
        if mutual:
            self._authority.signing.configure_trust(context)
            context.verify_mode = ssl.CERT_REQUIRED
        self.port = await self._proxy.start_tcp(context)
        return self.port

    def url(self, options: str = "", login: str = "") -> str:
        return f"rediss://{login}localhost:{self.port}/0?ssl_ca_certs={self._authority.file}{options}"

    async def stop(self) -> None:
        with suppress(AssertionError):
            await self._proxy.stop()


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority.made(tmp_path_factory.mktemp("ca") / "ca.pem")


@pytest.fixture
async def secured(server: Server, authority: Authority) -> AsyncIterator[Secured]:
    server.client().set("a", b"1")
    behind = Secured(server, authority)
    yield behind
    await behind.stop()


def allow(server: Server, password: str) -> None:
    """The server knows the user `sluice` by this password."""
    server.client().acl_setuser("sluice", enabled=True, passwords=f"+{password}", keys="*", categories=["+@all"])


async def works(url: str) -> None:
    """Rows are written as commands do it, and read as gateways do it."""
    stored = await asyncio.to_thread(_written_and_read, url)
    assert stored == (149,)
    reading = Reader(url)
    await reading.reader.start()
    assert await reading.get(b"a") == {b"a": b"1"}
    await reading.reader.stop()


def _written_and_read(url: str) -> tuple[object, ...]:
    with RedisStore(url) as store:
        store.check()
        store.put(PLANE, [EntityRow(("N1",), (149,), 0.0)])
        row = store.get(PLANE, ("N1",), 0.0).row
        return () if row is None else tuple(row.values)


async def refusals(url: str, caplog: pytest.LogCaptureFixture) -> tuple[Exception, str]:
    """What the commands are told, and the one line that a gateway logs."""
    caplog.clear()
    with caplog.at_level(logging.INFO):
        reading = Reader(url)
        async with asyncio.timeout(PATIENT_S):
            await reading.reader.start()
            assert await reading.get(b"a") is None
        await reading.reader.stop()
        told = await asyncio.to_thread(_why_not, url)
    lines = [record.getMessage() for record in caplog.records if record.name.startswith("serving")]
    assert len(lines) == 1
    for text in (str(told), lines[0], caplog.text):
        assert "\n" not in text.strip()
        assert PASSWORD not in text
        assert ENCODED not in text
    return told, lines[0]


def _why_not(url: str) -> Exception:
    try:
        with RedisStore(url) as store:
            store.check()
    except (FeaturesAway, Unavailable, ConfigInvalid) as refused:
        return refused
    raise AssertionError("it answered")


async def test_rows_are_read_and_written_over_tls_with_a_named_authority(secured: Secured) -> None:
    await secured.start()
    await works(secured.url())


async def test_a_user_of_the_servers_list_and_a_password_of_any_characters(secured: Secured, server: Server) -> None:
    allow(server, PASSWORD)
    await secured.start()
    await works(secured.url(login=f"sluice:{ENCODED}@"))
    await works(secured.url(f"&username=sluice&password={ENCODED}"))


async def test_a_client_certificate_is_shown_where_the_server_wants_one(
    secured: Secured, authority: Authority, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    await secured.start(mutual=True)
    await works(secured.url(authority.client(tmp_path)))
    told, line = await refusals(secured.url(login=f":{ENCODED}@"), caplog)
    assert isinstance(told, FeaturesAway)
    assert "where it wants a certificate, name ssl_certfile" in line or "certificate required" in line


async def test_another_authority_is_not_trusted_unless_nobody_asks(
    secured: Secured, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    port = await secured.start()
    other = Authority.made(tmp_path / "other.pem")
    address = f"rediss://:{ENCODED}@localhost:{port}/0?ssl_ca_certs={other.file}"
    told, line = await refusals(address, caplog)
    assert isinstance(told, FeaturesAway)
    for text in (str(told), line):
        assert "its certificate is not trusted: " in text
        assert "name its authority with ssl_ca_certs" in text
    await works(f"rediss://localhost:{port}/0?ssl_cert_reqs=none")


async def test_a_certificate_for_another_host_is_not_trusted(
    secured: Secured, caplog: pytest.LogCaptureFixture
) -> None:
    await secured.start("redis.example.org")
    told, line = await refusals(secured.url(login=f":{ENCODED}@"), caplog)
    assert isinstance(told, FeaturesAway)
    for text in (str(told), line):
        assert "Hostname mismatch, certificate is not valid for 'localhost'" in text


async def test_an_expired_certificate_is_not_trusted(secured: Secured, caplog: pytest.LogCaptureFixture) -> None:
    await secured.start(expired=True)
    told, line = await refusals(secured.url(login=f":{ENCODED}@"), caplog)
    assert isinstance(told, FeaturesAway)
    for text in (str(told), line):
        assert "certificate has expired" in text


async def test_a_wrong_password_is_a_refusal(
    secured: Secured, server: Server, caplog: pytest.LogCaptureFixture
) -> None:
    allow(server, "another")
    await secured.start()
    told, line = await refusals(secured.url(login=f"sluice:{ENCODED}@"), caplog)
    assert type(told) is Unavailable
    assert "the features Redis refuses: " in str(told)
    assert "WRONGPASS" in line


async def test_a_file_that_is_no_certificate_is_named(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / "no.pem").write_text("no certificate")
    for option in ("ssl_ca_certs", "ssl_certfile"):
        for name in ("no.pem", "nowhere.pem"):
            url = f"rediss://:{ENCODED}@localhost:1/0?{option}={tmp_path}/{name}"
            told, line = await refusals(url, caplog)
            assert isinstance(told, ConfigInvalid)
            for text in (str(told), line):
                assert f"names {option} {tmp_path}/{name}, which cannot be used: " in text


async def test_a_server_without_tls_does_not_hold_anybody_up(
    server: Server, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    # It waits for the end of a command, and what TLS begins with has none: ours is the clock that ends it.
    monkeypatch.setattr(blocking_client, "OPERATION_S", 0.5)
    plain = SlowProxy(server.socket, server.socket)
    port = await plain.start_tcp()
    told, _ = await refusals(f"rediss://:{ENCODED}@localhost:{port}/0", caplog)
    assert isinstance(told, FeaturesAway)
    await plain.stop()


@pytest.mark.parametrize("wrong", ["ssl_cert_reqs=some", "ssl_ca_path=/etc", "timeout=5"])
async def test_an_option_that_is_not_known_is_refused_by_all(wrong: str) -> None:
    url = f"rediss://:{ENCODED}@localhost:1/0?{wrong}"
    for ask in (RedisStore, parse):
        with pytest.raises(ConfigInvalid, match=wrong.partition("=")[0]) as refused:
            ask(url)
        assert ENCODED not in refused.value.message
