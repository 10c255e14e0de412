"""Dates where moments are expected: each becomes the start of its day in UTC before the request is handled."""

from collections.abc import Mapping
from datetime import datetime
from typing import get_args, get_origin

from counterfoil.core import moments
from counterfoil_api.operations.forms import fields_in, kinds_of

_DATE_LENGTH = 10


def with_moments(given: object, shape: object) -> object:
    """Return the value with a moment for every date where the shape expects a moment."""
    match given:
        case str() if len(given) == _DATE_LENGTH and datetime in kinds_of(shape):
            return moments.stated(given) or given
        case Mapping():
            fields = fields_in(shape)
            return {
                name: with_moments(value, fields[name]) if name in fields else value for name, value in given.items()
            }
        case list():
            lists = [kind for kind in kinds_of(shape) if get_origin(kind) in (tuple, list)]
            return [with_moments(each, get_args(lists[0])[0]) for each in given] if lists else given
    return given
