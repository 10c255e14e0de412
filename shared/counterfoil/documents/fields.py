"""The types of fields that documents share, each with its pattern and description for OpenAPI."""

from datetime import datetime
from typing import Annotated, Generic, TypeVar

import msgspec
from msgspec import Meta

from counterfoil.core import glob, moments, text
from counterfoil.core.cursor import BadCursor
from counterfoil.core.emails import EMAIL_PATTERN
from counterfoil.core.refusals import BadDuration, BadMetadata, BadNetwork, BadRateLimit, BadScope, BadText, Refuses

T = TypeVar("T")

# The core checks these and explains what is wrong; these patterns only describe them.
_DURATION = r"^(forever|([0-9]*\.?[0-9]+(ns|us|µs|μs|ms|s|m|h|d|w))+)$"
SCOPE = r"^[A-Za-z0-9_-]+(\.[A-Za-z0-9_-]+)*(\.\*)?$"
Moment = Annotated[
    datetime, Meta(tz=True, description="RFC 3339; or a date, which means the start of that day in UTC.")
]
_LENGTH = {"pattern": _DURATION.replace("forever|", ""), "maxLength": 64}
Span = Annotated[str, Meta(examples=["7d"], extra_json_schema=_LENGTH)]
_WHEN = {
    "anyOf": [{"format": "date-time"}, {"format": "date"}, {"pattern": _DURATION.replace("forever|", "")}],
    "maxLength": 64,
}
Ahead = Annotated[str, Meta(description=f"{moments.MEANING} 7d is seven days from now.", extra_json_schema=_WHEN)]
Ago = Annotated[str, Meta(description=f"{moments.MEANING} 7d is seven days ago.", extra_json_schema=_WHEN)]
Limit = Annotated[int, Meta(ge=1, le=200)]
Glob = Annotated[
    str, Meta(max_length=255, description=glob.MEANING, extra_json_schema={"pattern": glob.PATTERN}, examples=["ci-*"])
]
Cursor = Annotated[
    str, Meta(max_length=2_048, description="The `next_cursor` of the previous page."), Refuses((BadCursor,))
]
Audience = Annotated[str, Meta(pattern="^[!-~]{1,255}$", description="Visible ASCII, such as a URL.")]
Reason = Annotated[str, Meta(max_length=1_000, extra_json_schema={"pattern": text.PATTERN}), Refuses((BadText,))]
Why = Annotated[
    str,
    Meta(
        min_length=1,
        max_length=1_000,
        description="The reason, for the log.",
        extra_json_schema={"pattern": text.NAME_PATTERN},
    ),
    Refuses((BadText,)),
]
Name = Annotated[
    str,
    Meta(
        description="Its name.",
        extra_json_schema={"pattern": text.NAME_PATTERN, "minLength": 1, "maxLength": 255},
    ),
    Refuses((BadText,)),
]
Description = Annotated[
    str, Meta(extra_json_schema={"pattern": text.PATTERN, "maxLength": 32_767}), Refuses((BadText,))
]
Scope = Annotated[str, Meta(extra_json_schema={"pattern": SCOPE, "maxLength": 128}), Refuses((BadScope,))]
Scopes = tuple[Scope, ...]
Metadata = Annotated[
    dict[str, str],
    Meta(extra_json_schema={"maxProperties": 64, "propertyNames": {"pattern": "^[A-Za-z0-9_.:/-]{1,64}$"}}),
    Refuses((BadMetadata,)),
]
Lifetime = Annotated[
    str,
    Meta(
        description="Such as 90d, 2h45m or 300ms; or forever.",
        examples=["90d"],
        extra_json_schema={"pattern": _DURATION, "maxLength": 64},
    ),
    Refuses((BadDuration,)),
]
Networks = Annotated[
    tuple[Annotated[str, Meta(max_length=64, examples=["192.0.2.0/24"])], ...],
    Meta(max_length=100, description="The networks to use it from, in CIDR form; no network means anywhere."),
    Refuses((BadNetwork,)),
]
RateLimit = Annotated[
    str,
    Meta(
        description="Calls within a duration; null means any number.",
        examples=["600/1m"],
        extra_json_schema={"pattern": "^[1-9][0-9]{0,8}/" + _DURATION.replace("forever|", "")[1:], "maxLength": 74},
    ),
    Refuses((BadRateLimit,)),
]
MaxUses = Annotated[
    int,
    Meta(ge=1, le=1_000_000_000, description="Uses in total, counted from when this is set; null means any number."),
]
TrustedValue = Annotated[
    str, Meta(description=glob.MEANING, extra_json_schema={"pattern": glob.PATTERN, "minLength": 1, "maxLength": 255})
]


def one_of(*words: str) -> Meta:
    """Describe the words of a reply's field. A client also accepts words that a later version adds."""
    return Meta(extra_json_schema={"enum": list(words)})


class Given(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A request's body; an unknown field is refused, not ignored."""


class Page(msgspec.Struct, Generic[T], frozen=True, kw_only=True):
    """A page of a list; `next_cursor` is null at its end."""

    items: list[T]
    next_cursor: str | None


class Private(msgspec.Struct, frozen=True, kw_only=True):
    """A reply with a secret; it does not print itself."""

    def __repr__(self) -> str:
        return f"{type(self).__name__}(…)"


_ADDRESS = f"^(?!.*[{text.NEVER}]){EMAIL_PATTERN}$"
Email = Annotated[
    str,
    Meta(examples=["ada@example.org"], extra_json_schema={"pattern": _ADDRESS, "maxLength": 255}),
]
Password = Annotated[
    str,
    Meta(
        description="12 characters to 1,024 bytes; without it we make one up and show it once.",
        extra_json_schema={"pattern": r"^[^\x00-\x1f\x7f]*$", "minLength": 12, "maxLength": 1_024},
    ),
]
