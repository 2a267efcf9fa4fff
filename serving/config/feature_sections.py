"""The sections of features: what is known of entities, and how a model's inputs are made of it."""

from __future__ import annotations

from typing import Annotated, Any, Literal, Self

from pydantic import BeforeValidator, ConfigDict, Field, model_validator
from pydantic_core import PydanticCustomError

from serving.config.near_cache_sections import ViewCacheSection
from serving.config.section import Section, noted
from serving.features.feast.feast_source import FeastSource, JoinKey, KeyType
from serving.features.feature_view import Feature, FeatureView, feature
from serving.features.transforms.declared import declared
from serving.features.transforms.transform import Transform

# A dot parts a view from its feature, and metrics and headers carry both.
Word = Annotated[str, Field(min_length=1, max_length=100, pattern=r"^[A-Za-z_][A-Za-z0-9_-]*$")]
_REQUEST = "request"
SECONDS = {"s": 1, "m": 60, "h": 3_600, "d": 86_400}


Store = Literal["packed", "feast"]


def _typed(value: Any) -> Any:  # noqa: ANN401 - whatever the file says
    return {"type": value} if isinstance(value, str) else value


def _spelled_out(value: Any) -> Any:  # noqa: ANN401 - whatever the file says
    return {"dtype": value} if isinstance(value, str) else value


class FeatureSection(Section):
    """A value of a row; the bare name of a dtype is one without a default."""

    model_config = ConfigDict(
        json_schema_extra={
            "type": ["object", "string"],
            "permitted": "the name of a dtype, or a mapping with the keys dtype, default, impute, range",
        }
    )

    dtype: Literal["float32", "float64", "int32", "int64", "bool"] = noted("How it is stored.", "float32")
    default: float | int | bool | None = noted(
        "Stands in where the value is missing; null is NaN, or 0 for whole numbers and booleans.", None
    )
    impute: float | int | bool | None = noted(
        "What training put in the place of missing values, a mean or a median; stands in where a model says "
        "`on_missing: impute`. null: the default does.",
        None,
    )
    range: Annotated[list[float | int], Field(min_length=2, max_length=2)] | None = noted(
        "The lowest and the highest value that is written; tables and callers with others are told. null: any.", None
    )

    def compiled(self, name: str) -> Feature:
        """As views have it.

        Raises:
            ValueError: a value that the dtype cannot hold, or a range without anything in between.
        """
        bounds = None if self.range is None else (self.range[0], self.range[1])
        return feature(name, self.dtype, self.default, self.impute, bounds)


class JoinKeySection(Section):
    """What Feast calls a field that finds a row; the bare name of a type is one that has the field's name."""

    model_config = ConfigDict(
        json_schema_extra={
            "type": ["object", "string"],
            "permitted": "int32, int64 or string, or a mapping with the keys type, name",
        }
    )

    type: KeyType = noted("The entity's value type in Feast: another type is another row there.")
    name: str | None = noted("The join key's name in Feast; null is the field's own.", None, min_length=1)


class FeastSection(Section):
    """Where Feast (0.67 or newer, Redis online store) keeps the rows of a view, which it writes and Sluice reads."""

    project: str = noted("`project` of its feature_store.yaml.", min_length=1)
    view: str | None = noted("Its name of the feature view; null is the name here.", None, min_length=1)
    join_keys: dict[Word, Annotated[JoinKeySection, BeforeValidator(_typed)]] = noted(
        "By field of `entity`: `driver_id: int64`, or with another name there `driver: {type: int64, name: driver_id}`."
    )


class FeatureViewSection(Section):
    """Features of one entity, stored, read and replaced together."""

    store: Store = noted("`packed`: rows that Sluice writes; `feast`: rows that Feast writes.", "packed")
    feast: FeastSection | None = noted("Where Feast keeps the rows; only with `store: feast`.", None)
    entity: list[Word] = noted("Fields of the request that find the row.", min_length=1)
    max_age: str | None = noted(
        "Older rows are not used, as if their values were missing; 30d, 12h, 90s.", None, pattern=r"^[0-9]+[smhd]$"
    )
    expire_after: str | None = noted(
        "So long after it was written the server forgets a row; null: never.", None, pattern=r"^[1-9][0-9]{0,7}[smhd]$"
    )
    generation: int = noted(
        "Part of the rows' keys: rows for a changed view are loaded as the next generation, beside those in use.",
        1,
        ge=1,
        le=1_000_000,
    )
    features: dict[Word, Annotated[FeatureSection, BeforeValidator(_spelled_out)]] = noted(
        "By name, in the order in which they are packed: `seats: float32`, or with a default "
        "`year: {dtype: float32, default: 2001}`.",
        min_length=1,
    )

    near_cache: ViewCacheSection = noted("What is different for this view's rows.", ViewCacheSection())

    @model_validator(mode="after")
    def _values_fit(self) -> Self:
        if len(set(self.entity)) != len(self.entity):
            raise PydanticCustomError("entity", "entity names a field twice")
        if problem := self._why_no_feast():
            raise PydanticCustomError("feast", "{problem}", {"problem": problem})
        for name, section in self.features.items():
            try:
                section.compiled(name)
            except ValueError as error:
                raise PydanticCustomError("feature", "{problem}", {"problem": str(error)}) from error
        return self

    def compiled(self, name: str) -> FeatureView:
        """As the gateway uses it."""
        return FeatureView(
            name,
            tuple(self.entity),
            tuple(section.compiled(name) for name, section in self.features.items()),
            _seconds(self.max_age),
            self._source(name),
            _seconds(self.expire_after),
            self.generation,
        )

    def _why_no_feast(self) -> str:
        if (self.feast is None) == (self.store == "feast"):
            wanted = "feast: {project: ..., join_keys: {...}}"
            return (
                f"store: feast needs {wanted}"
                if self.feast is None
                else f"feast has no meaning with store: {self.store}"
            )
        if self.feast is not None and set(self.feast.join_keys) != set(self.entity):
            return f"feast.join_keys must name the fields of entity and no other: {', '.join(self.entity)}"
        if self.feast is not None and (self.expire_after is not None or self.generation != 1):
            return "expire_after and generation are for rows that Sluice writes; with store: feast, Feast does"
        return ""

    def _source(self, name: str) -> FeastSource | None:
        if self.feast is None:
            return None
        join_keys = [(field, self.feast.join_keys[field]) for field in self.entity]
        named = tuple(JoinKey(key.name or field, key.type) for field, key in join_keys)
        return FeastSource(self.feast.project, self.feast.view or name, named)


def _seconds(words: str | None) -> int | None:
    return int(words[:-1]) * SECONDS[words[-1]] if words else None


def _entry(value: Any) -> Any:  # noqa: ANN401 - whatever the file says
    """Words of its own for what is no transform; the mapping stays as it is, so that it can be shown."""
    if isinstance(value, dict):
        try:
            declared(value)
        except ValueError as error:
            raise PydanticCustomError("feature", "{problem}", {"problem": str(error)}) from error
    elif not isinstance(value, str):
        problem = f"must be a column, or a transform like {{log1p: plane.seats}}, got {value!r:.80}"
        raise PydanticCustomError("feature", "{problem}", {"problem": problem})
    return value


class FeatureInput(Section):
    """One input of a model that is made of features."""

    name: str = noted("The model's input.", min_length=1)
    features: list[Annotated[str | dict[str, Any], BeforeValidator(_entry)]] = noted(
        "`view.feature` or `request.field`, in the order of the columns, or what a transform makes of them: "
        "`{log1p: plane.seats}` (docs/features.md has all).",
        min_length=1,
    )

    def entries(self) -> tuple[str | Transform, ...]:
        """As plans are compiled from them."""
        return tuple(one if isinstance(one, str) else declared(one) for one in self.features)

    def strangers(self, views: dict[str, FeatureViewSection]) -> list[str]:
        """Columns that no view has, each with what is known."""
        columns = [name for one in self.entries() for name in ((one,) if isinstance(one, str) else one.columns)]
        return [text for column in columns if (text := _stranger(column, views))]


def _stranger(column: str, views: dict[str, FeatureViewSection]) -> str:
    view, _, name = column.partition(".")
    if not name:
        return f"{column!r} is no column; write <view>.<feature> or request.<field>"
    if view == _REQUEST:
        return ""
    if view not in views:
        return f"{column!r} names no feature view; there are {', '.join([*views, _REQUEST])}"
    if name not in views[view].features:
        return f"view {view!r} has no feature {name!r}; it has {', '.join(views[view].features)}"
    return ""
