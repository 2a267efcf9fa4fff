"""What another configuration would change is listed whole, and no secret with it."""

from __future__ import annotations

from serving.config.difference import Difference, differences
from serving.config.effective import Effective
from serving.config.settings import Settings


def effective(**sections: object) -> Effective:
    return Effective(Settings.model_validate(sections), {})


def test_what_is_the_same_is_not_listed() -> None:
    assert differences(effective(http={"port": 8080}), effective()) == []


def test_what_is_another_what_is_new_and_what_is_gone_are_listed() -> None:
    old = effective(http={"port": 8080}, models={"a": {"pool": "gateway"}})
    found = {one.setting: one for one in differences(old, effective(http={"port": 9000}))}
    assert found["http.port"] == Difference("http.port", "8080", "9000", restart=True)
    assert found["models.a.pool"] == Difference("models.a.pool", '"gateway"', None)
    back = {one.setting: one for one in differences(effective(), old)}
    assert back["models.a.pool"] == Difference("models.a.pool", None, '"gateway"')


def test_of_a_secret_it_is_told_that_it_is_another_and_nothing_else() -> None:
    old, new = (effective(state={"control_url": f"redis://:{word}@host:6379/0"}) for word in ("planted1", "planted2"))
    (found,) = differences(old, new)
    assert found.setting == "state.control_url"
    assert "planted" not in f"{found.old}{found.new}"
    assert found.old != found.new


def test_whoever_adds_a_model_or_takes_one_away_need_not_stop_the_session_and_who_changes_its_routes_does() -> None:
    without = effective()
    first, second = (effective(models={"a": {"routes": {"stable": version}}}) for version in (1, 2))
    for old, new, restart in ((without, first, False), (first, without, False), (first, second, True)):
        assert {one.restart for one in differences(old, new) if "routes" in one.setting} == {restart}
