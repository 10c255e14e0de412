"""The form of every answer of a dialect, successful or not."""

from __future__ import annotations

import msgspec

from api.service import Answer
from counterfoil_api.dialects.dialect import Dialect
from counterfoil_api.dialects.register import DIALECTS

BY_NAME = {each.name: each for each in DIALECTS}


def dialect_of(path: str) -> Dialect:
    """The dialect of this path."""
    return BY_NAME[path.split("/")[1]]


def refused(path: str, answer: Answer) -> bool:
    """Whether this answer is a refusal, which must have the dialect's own form."""
    if not _says_no(path, answer):
        return False
    spelling = dialect_of(path).api.conventions.error_format
    assert spelling is not None
    assert answer.headers["Content-Type"] == spelling.media_type, answer
    document: msgspec.Struct = msgspec.json.decode(answer.body, type=spelling.shape)
    assert msgspec.json.decode(msgspec.json.encode(document)) == answer.json, "something else than the form has"
    assert len(answer.body) < 4_096
    return True


def broken(path: str, answer: Answer) -> bool:
    """Whether it reports an internal error."""
    if dialect_of(path).name == "virtuozzo":
        wrong = _says_no(path, answer) and answer.json["result"] == 99 and "Too many" not in answer.json["error"]
        return answer.status != 200 or wrong
    return answer.status >= 500


def _says_no(path: str, answer: Answer) -> bool:
    if dialect_of(path).name == "virtuozzo":
        return answer.json["result"] != 0 if b'"result"' in answer.body else False
    return answer.status >= 400
