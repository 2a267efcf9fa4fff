"""`NAME=VALUE` of the command line, as entities and feature values."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from serving.cli.failure import wrong_usage
from serving.features.feature_view import FeatureView
from serving.features.packed import Value
from serving.features.tables.stored_value import feature_value


def entity_of(view: FeatureView, given: Sequence[str]) -> tuple[str, ...]:
    """The entity's values in the view's order.

    Raises:
        CommandFailed: one is missing, empty, or none of the view's.
    """
    pairs = pairs_of("--entity", given)
    unknown = [name for name in pairs if name not in view.entity]
    missing = [name for name in view.entity if not pairs.get(name)]
    if unknown or missing:
        wanted = " ".join(f"--entity {name}=..." for name in view.entity)
        raise (
            wrong_usage(f"{unknown[0]!r} does not identify a row of {view.name}: {wanted}")
            if unknown
            else (wrong_usage(f"{missing[0]!r} is missing, which identifies a row of {view.name}: {wanted}"))
        )
    return tuple(pairs[name] for name in view.entity)


def values_of(view: FeatureView, given: Sequence[str]) -> Mapping[str, Value]:
    """Feature values by name; an empty one is absent.

    Raises:
        CommandFailed: none is given, or one is no feature of the view or does not fit its dtype.
    """
    features = {feature.name: feature for feature in view.features}
    values: dict[str, Value] = {}
    for name, text in pairs_of("--set", given).items():
        if name not in features:
            raise wrong_usage(f"view {view.name} has no feature {name!r}; it has {', '.join(features)}")
        try:
            values[name] = feature_value(features[name], text)
        except ValueError as error:
            raise wrong_usage(f"--set {name}: {error}") from error
    if not values:
        raise wrong_usage("nothing to set; name at least one feature: --set NAME=VALUE")
    return values


def pairs_of(option: str, given: Sequence[str]) -> dict[str, str]:
    """Each `NAME=VALUE`; the last one of a name wins.

    Raises:
        CommandFailed: one has no name.
    """
    pairs = {}
    for text in given:
        name, equals, value = text.partition("=")
        if not name or not equals:
            raise wrong_usage(f"{option} {text}: must look like {option} NAME=VALUE")
        pairs[name] = value
    return pairs
