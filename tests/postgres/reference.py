"""An independent replay of the log: from the raw JSON of a token's entries to its state at a moment.

It shares no code with the ledger, on purpose.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import datetime
from typing import Any

DECIDING = {
    "revoked": {"revoked"},
    "suspended": {"suspended"},
    "expired": {"created", "renewed"},
    "active": {"created", "renewed", "resumed"},
}
UNCOUNTED = {"exchanged", "expiring", "grace_ending"}
NOTHING_SAID: dict[str, Any] = {"name": None, "description": "", "metadata": {}, "reason": None}


@dataclass(frozen=True, slots=True)
class Entry:
    """One entry with its private part, as plain JSON."""

    version: int
    type: str
    at: datetime
    data: dict[str, Any]
    said: dict[str, Any]


def read(entry: str, private: str | None) -> Entry:
    raw = json.loads(entry)
    at = datetime.fromisoformat(raw["at"])
    return Entry(raw["version"], raw["type"], at, raw["data"], json.loads(private) if private else {})


def replayed(entries: list[Entry], at: datetime) -> dict[str, Any] | None:
    """The state after these entries, in order, at a moment."""
    if not entries:
        return None
    state: dict[str, Any] = {"status": "active", "revision": 0, "previous_until": None, "last_exchanged_at": None}
    for entry in entries:
        state |= changes(entry)
        if entry.type not in UNCOUNTED:
            state |= {"revision": state["revision"] + 1, "updated_at": entry.at}
    ends = moment(state["expires_at"])
    expired = ends is not None and ends <= at
    state["status"] = "expired" if expired and state["status"] != "revoked" else state["status"]
    state["decided_by"] = max(entry.version for entry in entries if entry.type in DECIDING[state["status"]])
    return state


def changes(entry: Entry) -> dict[str, Any]:
    """The changes of one entry."""
    data, said = entry.data, entry.said
    match entry.type:
        case "created":
            return NOTHING_SAID | {"created_at": entry.at} | data | said
        case "updated":
            return data | said
        case "renewed":
            return {"expires_at": data["expires_at"], "lifetime": data["lifetime"]}
        case "rotated":
            return data | ({"last_exchanged_at": None} if data.get("forgets_use") else {})
        case "grace_extended":
            return {"previous_until": data["previous_until"]}
        case "rotation_confirmed":
            return {"previous_until": None}
        case "exchanged":
            return {"last_exchanged_at": entry.at}
        case "suspended" | "revoked":
            return {"status": entry.type, "reason": said.get("reason")}
        case "resumed":
            return {"status": "active", "reason": None}
        case "erased":
            return NOTHING_SAID
        case _:
            return {}


def moment(text: str | None) -> datetime | None:
    return None if text is None else datetime.fromisoformat(text)
