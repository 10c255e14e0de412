"""Golden files: requests and answers from a vendor's page, replayed in order.

An example is a line `== …`, the request (a line, headers, an empty line and a body), a line `--`, the status, and the
answer. After it, `keep` stores a part of the real answer under a name for later requests, `beside:` lists additional
members of the real answer, and `or null:` lists members that may be null. `{name}` stands for a known value, `{basic}`
and `{basic::name}` for Basic credentials.
"""

import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import msgspec

HERE: Final = Path(__file__).with_name("golden")
_SHAPES: Final = tuple(
    (name, re.compile(pattern))
    for name, pattern in (
        ("UUID", r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}"),
        ("moment with milliseconds", r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z"),
        ("moment with milliseconds and no zone", r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}"),
        ("moment", r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ"),
        ("Scalingo's secret", r"tk-us-[A-Za-z0-9_-]{48}"),
        ("Cloudflare's client id", r"[0-9a-f]{32}\.access"),
        ("Cloudflare's secret", r"[0-9a-f]{64}"),
        ("Canvus' id", r"JDJhJDA0J[A-Za-z0-9+/]{71}"),
        ("Canvus' secret", r"[A-Za-z0-9_-]{43}"),
        ("Virtuozzo's secret", r"[0-9a-f]{40}"),
        ("Losant's id", r"[0-9a-f]{24}"),
    )
)


@dataclass(frozen=True)
class Example:
    """One example of a page."""

    title: str
    method: str
    path: str
    headers: dict[str, str]
    body: str
    status: int
    answer: Any
    kept: dict[str, str] = field(default_factory=dict)
    beside: frozenset[str] = frozenset()
    nullable: frozenset[str] = frozenset()

    def differences(self, real: Any) -> list[str]:
        """The differences in shape between the real answer and the page."""
        return differences(self.answer, real, self.beside, self.nullable)


def examples(vendor: str) -> tuple[str, list[Example]]:
    """The base path of a vendor's API, and the examples of its page."""
    head, *rest = (HERE / f"{vendor}.txt").read_text(encoding="utf-8").split("\n== ")
    return head.partition("Base: ")[2].strip(), [_example(each) for each in rest]


def _example(text: str) -> Example:
    title, _, text = text.partition("\n")
    requested, _, answered = text.partition("\n--\n")
    head, _, body = requested.partition("\n\n")
    first, *headers = head.splitlines()
    method, _, path = first.partition(" ")
    status, *lines = answered.strip().splitlines()
    result = [line for line in lines if not line.startswith(("keep ", "beside: ", "or null: "))]
    keeping = [line.removeprefix("keep ").split(" as ") for line in lines if line.startswith("keep ")]
    kept = {name: place for place, name in keeping}
    beside, nullable = (
        frozenset(word for line in lines if line.startswith(mark) for word in line.removeprefix(mark).split())
        for mark in ("beside: ", "or null: ")
    )
    return Example(
        title, method, path, dict(line.split(": ", 1) for line in headers), body.strip(), int(status),
        msgspec.json.decode("\n".join(result)) if result else None, kept, beside, nullable,
    )  # fmt: skip


def differences(
    printed: Any, real: Any, beside: frozenset[str], nullable: frozenset[str] = frozenset(), at: str = ""
) -> list[str]:
    """The differences in shape between the real answer and the page."""
    match printed:
        case dict():
            if not isinstance(real, dict):
                return [f"{at} is no object"]
            keys = [key for key in real if key in printed or key not in beside]
            found = [] if keys == list(printed) else [f"{at} has {list(real)} and not {list(printed)}"]
            both = (key for key in printed if key in real and not (key in nullable and real[key] is None))
            return found + [
                each for key in both for each in differences(printed[key], real[key], beside, nullable, f"{at}.{key}")
            ]
        case [one, *others]:
            if not isinstance(real, list) or not real:
                return [f"{at} is no list of anything"]
            shapes = [one, *others]
            return [
                each
                for n, element in enumerate(real)
                for each in min((differences(s, element, beside, nullable, f"{at}[{n}]") for s in shapes), key=len)
            ]
        case _:
            return [] if shape(printed) == shape(real) else [f"{at} is {shape(real)} and not {shape(printed)}"]


def shape(value: Any) -> str:
    """The kind of a value, as precisely as a vendor's client could tell."""
    if isinstance(value, str):
        return next((name for name, pattern in _SHAPES if pattern.fullmatch(value)), "text")
    return type(value).__name__
