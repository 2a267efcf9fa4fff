"""The version that answers by default is one that can be served."""

from __future__ import annotations

from pathlib import Path

from serving.cli.servable_versions import Objection, sifted
from serving.config.settings import Settings
from serving.errors import ModelUnservable
from serving.inference import VersionKey
from serving.registry.manifest import Manifest
from serving.registry.repository import Listing, RepositoryVersion

LISTING = Listing(
    tuple(
        RepositoryVersion(VersionKey(model, number), Path(f"{model}/{number}"), Manifest())
        for model, number in (("a", 1), ("a", 2), ("a", 3), ("b", 1))
    ),
    (),
)


def objecting(*wrong: str, asked: list[str] | None = None) -> Objection:
    def objection(version: RepositoryVersion) -> ModelUnservable | None:
        if asked is not None:
            asked.append(str(version.key))
        return ModelUnservable("broken") if str(version.key) in wrong else None

    return objection


def kept(listing: Listing) -> list[str]:
    return [str(version.key) for version in listing.versions]


def test_the_next_lower_version_answers_when_the_highest_cannot_be_loaded() -> None:
    found = sifted(Settings(), LISTING, objecting(), objecting("a/3", "a/2"))
    assert kept(found) == ["a/1", "b/1"]
    assert [(problem.model, problem.version) for problem in found.problems] == [("a", 3), ("a", 2)]


def test_a_broken_file_is_left_out_wherever_it_stands() -> None:
    assert kept(sifted(Settings(), LISTING, objecting("a/1", "b/1"), objecting())) == ["a/2", "a/3"]


def test_only_what_another_version_would_have_to_stand_in_for_is_loaded() -> None:
    asked: list[str] = []
    sifted(Settings(), LISTING, objecting(), objecting(asked=asked))
    assert asked == ["a/3"]


def test_a_version_that_the_configuration_names_is_never_replaced_by_another() -> None:
    named = Settings.model_validate({"models": {"a": {"routes": {"stable": 3}}}})
    assert "a/3" in kept(sifted(named, LISTING, objecting(), objecting("a/3")))


def test_the_last_version_of_a_model_is_left_to_whoever_hosts_it() -> None:
    assert kept(sifted(Settings(), LISTING, objecting("a/1"), objecting("a/3", "a/2"))) == ["a/2", "b/1"]
