"""A token with a trust is an ordinary token in every dialect, except that it never gets a secret."""

import pytest

from dialects.dialect_clients import Known
from dialects.test_shared_token import Stage, stage, there

__all__ = ["stage"]
TRUST = {"issuer": "https://ci.example.org", "audience": "us", "claims": {"sub": "repo:acme/app"}}


async def test_every_dialect_reads_renames_and_deletes_a_token_with_a_trust_and_makes_no_secret_for_it(
    stage: Stage,
) -> None:
    for speaker in stage.speakers.values():
        name = f"trusting for {speaker.name}"
        made = (await stage.native.issue(name=name, trust=TRUST, lifetime="90d"))["token"]
        token = Known(made["id"], made["number"])
        found = await there(speaker, token, name)
        assert await speaker.look(found) == name
        if "rotate" in speaker.verbs:
            with pytest.raises(AssertionError, match="no secret to rotate"):
                await speaker.rotate(found)
        if "renew" in speaker.verbs:
            await speaker.renew(found)
        if "rename" in speaker.verbs:
            await speaker.rename(found, f"{name} again")
        if "suspend" in speaker.verbs:
            await speaker.suspend(found)
            assert (await stage.native.get(f"/v1/tokens/{token.id}")).json["status"] == "suspended"
            await speaker.resume(found)
        await speaker.delete(found)
        shown = (await stage.native.get(f"/v1/tokens/{token.id}")).json
        assert (shown["status"], shown["trust"]["issuer"]) == ("revoked", TRUST["issuer"])
    assert await stage.findings() == []
