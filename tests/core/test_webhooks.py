"""Secrets, signatures and waiting times of webhooks."""

import json
from datetime import UTC, datetime

import pytest
from standardwebhooks.webhooks import Webhook

from counterfoil.core.webhooks import (
    delay_seconds,
    outcome_of,
    retry_after_seconds,
    secret_bytes,
    secret_text,
    signatures,
)

NOW = datetime.now(UTC)


def test_a_receiver_verifies_with_either_secret() -> None:
    body, one, two = json.dumps({"é": 1}).encode(), secret_text(b"a" * 32), secret_text(b"b" * 32)
    timestamp = int(NOW.timestamp())
    headers = {
        "webhook-id": "m1", "webhook-timestamp": str(timestamp),
        "webhook-signature": signatures((one, two), "m1", timestamp, body),
    }  # fmt: skip
    for secret in (one, two):
        assert Webhook(secret).verify(body, headers) == {"é": 1}
    assert secret_bytes(one) == b"a" * 32
    with pytest.raises(ValueError, match="not a webhook secret"):
        secret_bytes("whsec_?")


def test_the_signature_is_that_of_the_specification() -> None:
    # The example of the specification's own libraries.
    signed = signatures(
        ["whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"], "msg_p5jXN8AQM9LWM0D4loKWxJek", 1614265330, b'{"test": 2432232314}'
    )
    assert signed == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="


@pytest.mark.parametrize(
    ("status", "outcome"), [(200, "delivered"), (299, "delivered"), (302, "failed"), (500, "failed"), (410, "gone")]
)
def test_a_status_decides(status: int, outcome: str) -> None:
    assert outcome_of(status) == outcome


def test_waiting_times_grow_and_vary_by_a_quarter() -> None:
    assert [delay_seconds(n, 0.5) for n in (1, 2, 3, 12)] == [10.0, 30.0, 90.0, 43_200.0]
    assert (delay_seconds(1, 0.0), delay_seconds(1, 1.0)) == (7.5, 12.5)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("120", 120.0),
        ("999999999999", 86_400.0),
        ("Thu, 01 Jan 2026 00:02:00 GMT", 120.0),
        ("Wed, 31 Dec 2025 00:00:00 GMT", 0.0),
        ("Thu, 01 Jan 2026 00:02:00 -0000", None),
        ("soon", None),
        ("", None),
    ],
)
def test_retry_after_is_seconds_or_a_date(text: str, seconds: float | None) -> None:
    assert retry_after_seconds(text, datetime(2026, 1, 1, tzinfo=UTC)) == seconds
