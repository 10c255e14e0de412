"""Secrets in the traffic of OAuth clients and of reporters of leaks."""

from urllib.parse import urlencode

from security.traffic import FORM, Caller, basic


async def grant(caller: Caller, token_id: str, secret: str) -> list[str]:
    """Send every kind of OAuth request with secrets, valid and invalid; return the bearers."""
    grant_type, kind = (
        "urn:ietf:params:oauth:grant-type:token-exchange",
        "urn:ietf:params:oauth:token-type:access_token",
    )
    exchange = {"grant_type": grant_type, "subject_token_type": kind, "actor_token_type": kind}
    client = {"grant_type": "client_credentials", "client_id": token_id}
    own, nobody, bearers = basic(token_id, secret), {"Authorization": "", "Content_Type": FORM}, []
    for fields, who in (
        ({**client, "client_secret": secret}, ""),
        (client, own),
        ({**exchange, "subject_token": secret, "actor_token": caller.credentials["admin_token"]}, ""),
    ):
        said = await caller.shown("/v1/oauth/token", encoded(fields), Authorization=who, Content_Type=FORM)
        bearers.append(said["access_token"])
    assert (
        await caller.said("POST", "/v1/oauth/token", encoded({**client, "client_secret": f"{secret}x"}), **nobody)
        == 401
    )
    for name in (
        "subject_token",
        "actor_token",
        "scope",
        "audience",
        "resource",
        "grant_type",
        "expires_in",
    ):
        wrong = {**exchange, "subject_token": bearers[0], "actor_token": bearers[1], name: f"{secret}x"}
        assert await caller.said("POST", "/v1/oauth/token", encoded(wrong), **nobody) == 400
    for text in (bearers[0], f"{secret}x", f"x {secret}"):
        await caller.said("POST", "/v1/oauth/revoke", encoded({"token": text}), Content_Type=FORM)
    leaked = await caller.shown("/v1/tokens", {"name": "leaked"})
    report = [
        leaked["secret"],
        {"token": leaked["secret"], "url": f"https://x.example/{leaked['secret']}"},
        f"{secret}x",
    ]
    for body in (report, [bearers[0]], {"token": secret}, [{"url": secret}], [[secret]]):
        assert await caller.said("POST", "/v1/leak-reports", body, Authorization="") in (202, 422)
    other = basic(token_id, leaked["secret"])
    assert await caller.said("POST", "/v1/oauth/token", encoded(client), Authorization=other, Content_Type=FORM) == 401
    return bearers


def encoded(fields: dict[str, str]) -> bytes:
    return urlencode(fields).encode()
