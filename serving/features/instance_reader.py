"""Instances as they came, to keys and packed request features; every field checked."""

from __future__ import annotations

import struct
from collections.abc import Callable, Mapping, Sequence
from operator import itemgetter

from serving.errors import BadRequest
from serving.features.feast.entity_key import EntityKeys
from serving.features.feature_view import FeatureView
from serving.features.keys import key_of_one, netstring, prefix
from serving.features.segments import FORMATS, Sent
from serving.features.transforms.words import word
from serving.features.value_words import kind_of, shown

_NUMBERS = frozenset((int, float))
_WHOLE = frozenset((int,))
_TRUTH = frozenset((bool,))
_NAMES_SHOWN = 40

Pick = Callable[[Mapping[str, object]], tuple[object, ...]]


class InstanceReader:
    """Prepared for one plan: which fields an instance has, which it may leave out, and what they become."""

    def __init__(
        self,
        views: Sequence[FeatureView],
        sent: Sequence[Sent],
        defaults: Mapping[str, float | str],
        words: Sequence[str] = (),
    ) -> None:
        self._views = [(prefix(view), view.entity) for view in views]
        # By the place of the view; empty where all rows are packed ones, whose keys are made quicker.
        self._feast = {
            place: (pick(view.entity), EntityKeys(view.name, view.entity, view.feast))
            for place, view in enumerate(views)
            if view.feast is not None
        }
        self._sent = [(pick(run.names), kinds(run.datatype), run.struct.pack) for run in sent]
        self._runs = sent
        self._words = tuple(words)
        self._defaults = defaults
        self._keys = tuple(dict.fromkeys(name for view in views for name in view.entity))
        wanted = tuple(dict.fromkeys([*(name for run in sent for name in run.names), *words]))
        self._known = dict.fromkeys(self._keys + wanted)
        self._required = tuple(name for name in self._known if name not in defaults)

    def read(self, instances: Sequence[object]) -> tuple[list[bytes], list[tuple[bytes, ...]]]:
        """A key for each view of each instance, and the packed runs of each instance.

        Raises:
            BadRequest: names the instance and the field, and what would be right.
        """
        keys: list[bytes] = []
        sent: list[tuple[bytes, ...]] = []
        for position, instance in enumerate(instances):
            try:
                self._read(instance, keys, sent)
            except BadRequest as refused:
                raise BadRequest(f"instances[{position}]{refused.message}") from None
        return keys, sent

    def _read(self, instance: object, keys: list[bytes], sent: list[tuple[bytes, ...]]) -> None:
        if type(instance) is not dict:
            raise BadRequest(f" must be an object with the fields {self._names()}, got {kind_of(instance)}")
        if len(instance) == len(self._known):
            try:
                packed, found = self._packed(instance), self._keys_of(instance)
            except (KeyError, _Unfit, BadRequest):
                # A null where there is a default, another field in the place of one, or a mistake, which is told below.
                pass
            else:
                sent.append(packed)
                keys += found
                return
        try:
            completed = self._completed(instance)
            sent.append(self._packed(completed))
            keys += self._keys_of(completed)
        except _Unfit:
            raise BadRequest(f": {self._why_unfit(instance)}") from None
        except BadRequest as refused:
            raise BadRequest(f": {refused.message}") from None

    def _packed(self, instance: Mapping[str, object]) -> tuple[bytes, ...]:
        packed = []
        for values_of, allowed, pack in self._sent:
            values = values_of(instance)
            if not allowed.issuperset(map(type, values)):
                raise _Unfit
            try:
                packed.append(pack(*values))
            except (struct.error, OverflowError):
                raise _Unfit from None
        for name in self._words:
            value = instance[name]
            if why_no_word(value):
                raise _Unfit
            packed.append(word(value))
        return tuple(packed)

    def _keys_of(self, instance: Mapping[str, object]) -> list[bytes]:
        if self._feast:
            return [self._key_of(place, instance) for place in range(len(self._views))]
        keys = []
        for start, names in self._views:
            if len(names) == 1:
                keys.append(key_of_one(start, names[0], instance[names[0]]))
                continue
            key = start
            for name in names:
                key += netstring(name, instance[name])
            keys.append(key)
        return keys

    def _key_of(self, place: int, instance: Mapping[str, object]) -> bytes:
        """Of one view among others that Feast may keep."""
        feast = self._feast.get(place)
        if feast is None:
            start, names = self._views[place]
            return start + b"".join([netstring(name, instance[name]) for name in names])
        values_of, entity_keys = feast
        return entity_keys.key(values_of(instance))

    def _completed(self, instance: Mapping[str, object]) -> Mapping[str, object]:
        completed = {**self._defaults, **{name: value for name, value in instance.items() if value is not None}}
        for name in instance:
            if name not in self._known:
                raise BadRequest(f"unknown field {shown(name)}; the model's fields are {self._names()}")
        for name in self._required:
            if name not in completed:
                state = "is null" if name in instance else "is missing"
                raise BadRequest(f"field {name!r} {state}; the model needs {self._names(self._required)}")
        return completed

    def _why_unfit(self, instance: Mapping[str, object]) -> str:
        for run in self._runs:
            for name in run.names:
                value = instance.get(name)
                if value is not None and (why := why_unfit(value, run.datatype)):
                    return f"field {name!r} {why}"
        for name in self._words:
            value = instance.get(name)
            if value is not None and (why := why_no_word(value)):
                return f"field {name!r} {why}"
        # Not reached: a default that does not fit is refused when the plan is compiled.
        return "a field does not fit"

    def _names(self, names: Sequence[str] = ()) -> str:
        listed = list(names or self._known)
        more = len(listed) - _NAMES_SHOWN
        return ", ".join(listed[:_NAMES_SHOWN]) + (f" and {more} more" if more > 0 else "")


class _Unfit(Exception):
    """A request feature of the wrong kind or size."""


_KIND_WORDS = {_NUMBERS: "a number", _WHOLE: "a whole number", _TRUTH: "true or false"}


def why_unfit(value: object, datatype: str) -> str:
    """What is wrong with a request feature of this datatype, with what would be right; "" for one that fits."""
    allowed = kinds(datatype)
    if type(value) not in allowed:
        return f"must be {_KIND_WORDS[allowed]}, got {kind_of(value)}"
    try:
        struct.pack("<" + FORMATS[datatype], value)
    except (struct.error, OverflowError):
        return f"is {shown(value)}, which is too large for {datatype}"
    return ""


def why_no_word(value: object) -> str:
    """What is wrong with a request feature that is looked up by its text; "" for one that fits."""
    if type(value) is int:
        return ""
    if type(value) is not str:
        return f"must be text or a whole number, got {kind_of(value)}"
    try:
        value.encode()
    except UnicodeEncodeError:
        return "is no valid text (half of a surrogate pair)"
    return ""


def kinds(datatype: str) -> frozenset[type]:
    """The types of JSON that a request feature of a datatype may have; `struct` would take true for 1."""
    if datatype == "BOOL":
        return _TRUTH
    return _NUMBERS if datatype.startswith("FP") else _WHOLE


def pick(names: Sequence[str]) -> Pick:
    """Like `itemgetter`, and always a tuple."""
    if len(names) == 1:
        only = names[0]
        return lambda instance: (instance[only],)
    return itemgetter(*names)
