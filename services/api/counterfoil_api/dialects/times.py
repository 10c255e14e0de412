"""How moments are written where vendors show three decimals."""

from datetime import UTC, datetime


def milliseconds(moment: datetime) -> str:
    """RFC 3339 in UTC with exactly three decimals, such as 2018-03-28T19:56:09.433Z; what is finer is cut off."""
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
