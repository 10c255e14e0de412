"""Times of vendors that show three decimals."""

from datetime import UTC, datetime


def milliseconds(moment: datetime) -> str:
    """Return a time in RFC 3339 in UTC, cut to exactly three decimals: 2018-03-28T19:56:09.433Z."""
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
