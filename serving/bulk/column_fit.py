"""Which columns of a file become what of a model's rows, or why they do not fit; decided before anything is sent."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import Enum
from fnmatch import fnmatchcase

from serving.bulk.model_form import FieldForm, ModelForm, TensorForm
from serving.errors import BadRequest

_MOST_NAMED = 20


class Kind(Enum):
    """What a column holds."""

    NUMBER = "numbers"
    TEXT = "text"
    LIST = "lists"
    OTHER = "something else"


@dataclass(frozen=True, slots=True)
class Column:
    """A column of the file; one of a CSV file whose first values are numbers counts as numbers."""

    name: str
    kind: Kind


@dataclass(frozen=True, slots=True)
class FittedInput:
    """One input and its columns: as many as a row has values, or one that holds them all."""

    tensor: TensorForm
    columns: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class ColumnFit:
    """Either `inputs`, sent as tensors, or `ids` and `fields`, sent as instances and looked up by the gateway."""

    inputs: tuple[FittedInput, ...] = ()
    ids: tuple[str, ...] = ()
    fields: tuple[FieldForm, ...] = ()

    @property
    def taken(self) -> tuple[str, ...]:
        """The columns that are read for it."""
        if not self.inputs:
            return tuple(dict.fromkeys((*self.ids, *(one.name for one in self.fields))))
        return tuple(dict.fromkeys(name for one in self.inputs for name in one.columns))


@dataclass(frozen=True, slots=True)
class Wishes:
    """`columns` make a row of the only input, in their order (patterns allowed); `keep` says what to carry along."""

    columns: tuple[str, ...] = ()
    keep: tuple[str, ...] | None = None


def fit(form: ModelForm, columns: Sequence[Column], wishes: Wishes) -> ColumnFit:
    """What is read of each row.

    Raises:
        BadRequest: something is missing, unknown or ambiguous; names it, and what is known.
    """
    names = [column.name for column in columns]
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise BadRequest(f"the column {twice[0]!r} is there twice; give each column a name of its own")
    _refuse_unknown(wishes.keep or (), names, "--keep")
    if form.by_entity and not wishes.columns and not _has_tensors(form, names):
        return _by_entity(form, names, wishes)
    _refuse_rows_that_are_none(form)
    if len(form.inputs) == 1:
        return ColumnFit((_only(form.inputs[0], columns, wishes),))
    if wishes.columns:
        raise BadRequest(
            f"--columns is for models of one input; {form.name} has {_listed(i.name for i in form.inputs)}"
        )
    return ColumnFit(tuple(_named(one, columns, form) for one in form.inputs))


def _has_tensors(form: ModelForm, names: Sequence[str]) -> bool:
    return all(one.name in names for one in form.inputs) and not set(form.entity_keys) <= set(names)


def _refuse_rows_that_are_none(form: ModelForm) -> None:
    if not form.inputs:
        raise BadRequest(f"{form.name} tells no inputs yet; `sluice models show {form.name}` says why")
    for one in form.inputs:
        if one.shape and one.shape[0] not in (-1, 1):
            raise BadRequest(f"input {one.name!r} takes {one.shape[0]} rows at a time; rows of a file are asked alone")


def _by_entity(form: ModelForm, names: Sequence[str], wishes: Wishes) -> ColumnFit:
    required = [*form.entity_keys, *(one.name for one in form.fields if one.required)]
    known = list(dict.fromkeys([*form.entity_keys, *(one.name for one in form.fields)]))
    missing = [name for name in dict.fromkeys(required) if name not in names]
    unknown = [name for name in names if name not in known]
    if missing:
        beside = f"; it does not know {_listed(unknown)}" if unknown else ""
        raise BadRequest(
            f"{_columns(missing)} missing, which {form.name} needs{beside}; its fields are {_listed(known)}"
        )
    left_out = [name for name in known if name not in names]
    strange = [name for name in unknown if name not in (wishes.keep or ())]
    if left_out and strange and wishes.keep is None:
        raise BadRequest(
            f"{form.name} does not know {_listed(strange)}, and {_columns(left_out)} left to defaults; if nothing is "
            f"misspelt, name what to carry along with --keep"
        )
    fields = tuple(one for one in form.fields if one.name in names)
    return ColumnFit(ids=form.entity_keys, fields=fields)


def _only(tensor: TensorForm, columns: Sequence[Column], wishes: Wishes) -> FittedInput:
    names = [column.name for column in columns]
    if wishes.columns:
        chosen = _chosen(wishes.columns, names)
        return FittedInput(tensor, _as_many(tensor, chosen, columns, f"--columns names {len(chosen)}"))
    if tensor.name in names:
        return FittedInput(tensor, (tensor.name,))
    lists = [column.name for column in columns if column.kind is Kind.LIST]
    if len(lists) == 1 and tensor.width != 1:
        return FittedInput(tensor, (lists[0],))
    wanted = Kind.TEXT if tensor.datatype == "BYTES" else Kind.NUMBER
    fitting = tuple(column.name for column in columns if column.kind is wanted)
    told = f"{len(fitting)} columns hold {wanted.value} ({_listed(fitting) if fitting else 'none'})"
    return FittedInput(tensor, _as_many(tensor, fitting, columns, told))


def _as_many(tensor: TensorForm, chosen: tuple[str, ...], columns: Sequence[Column], told: str) -> tuple[str, ...]:
    kinds = {column.name: column.kind for column in columns}
    if len(chosen) == 1 and (kinds[chosen[0]] is Kind.LIST or not tensor.width):
        return chosen
    if len(chosen) == tensor.width:
        return chosen
    wanted = f"{tensor.width} values a row" if tensor.width else f"rows of shape {list(tensor.shape[1:])}"
    raise BadRequest(
        f"input {tensor.name!r} takes {wanted}, and {told}; name a column {tensor.name!r} with lists, or the columns "
        "in their order: --columns a,b or --columns 'f*'"
    )


def _named(tensor: TensorForm, columns: Sequence[Column], form: ModelForm) -> FittedInput:
    names = [column.name for column in columns]
    if tensor.name not in names:
        missing = [one.name for one in form.inputs if one.name not in names]
        unknown = [name for name in names if name not in {one.name for one in form.inputs}]
        beside = f"; it does not know {_listed(unknown)}" if unknown else ""
        inputs = _listed(one.name for one in form.inputs)
        raise BadRequest(f"{_columns(missing)} missing, which {form.name} needs{beside}; its inputs are {inputs}")
    return FittedInput(tensor, (tensor.name,))


def _chosen(patterns: Sequence[str], names: Sequence[str]) -> tuple[str, ...]:
    """Each pattern's columns in the file's order; a name that is there means itself, whatever characters it has."""
    chosen: list[str] = []
    for pattern in patterns:
        matched = [pattern] if pattern in names else [name for name in names if fnmatchcase(name, pattern)]
        if not matched:
            _refuse_unknown([pattern], names, "--columns")
        chosen += matched
    return tuple(chosen)


def _refuse_unknown(wanted: Sequence[str], names: Sequence[str], option: str) -> None:
    for name in wanted:
        if name not in names:
            raise BadRequest(f"{option}: there is no column {name!r}; the columns are {_listed(names)}")


def _columns(names: Sequence[str]) -> str:
    return f"the column {names[0]!r} is" if len(names) == 1 else f"the columns {_listed(names)} are"


def _listed(names: Iterable[str]) -> str:
    found = list(names)
    more = len(found) - _MOST_NAMED
    return ", ".join(found[:_MOST_NAMED]) + (f" and {more} more" if more > 0 else "")
