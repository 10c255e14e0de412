"""JWTs of an OIDC issuer served over TLS: which are accepted, and how long its keys are cached."""

from collections.abc import AsyncIterator
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path

import pytest

from api.certificates import Authority
from api.forged_jwts import AT, CONTROLS, FORGED, Maker, published
from api.oidc_issuer import AUDIENCE, OidcIssuer, oidc_issuer
from api.service import settings_for
from counterfoil_api.auth.issuers import Issuers, open_issuers
from counterfoil_api.http.errors import AssertionRefused


@pytest.fixture(scope="session")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority.at(tmp_path_factory.mktemp("authority"))


@pytest.fixture
async def issuer(authority: Authority, tmp_path: Path) -> AsyncIterator[OidcIssuer]:
    async with oidc_issuer(authority, tmp_path) as made:
        yield made


@pytest.fixture
async def issuers(authority: Authority, issuer: OidcIssuer) -> AsyncIterator[Issuers]:
    allowed = issuer.url.removeprefix("https://")
    settings = settings_for("postgresql://a@b/c", EGRESS_ALLOWED=allowed, EGRESS_CA_FILE=str(authority.file))
    async with open_issuers(settings) as opened:
        yield opened


@pytest.fixture
def every_key(issuer: OidcIssuer) -> Maker:
    """A maker of JWTs of an issuer with every kind of key."""
    issuer.keys = published(issuer)
    return Maker(issuer)


async def test_a_jwt_signed_by_the_issuer_is_accepted(issuers: Issuers, issuer: OidcIssuer) -> None:
    claims = await issuers.verified(issuer.jwt(), issuer=issuer.url, audience=AUDIENCE, at=datetime.now(UTC))
    assert (claims["repository"], claims["iss"]) == ("acme/app", issuer.url)
    assert issuer.requested == ["/.well-known/openid-configuration", "/keys"]


@pytest.mark.parametrize("control", CONTROLS)
async def test_the_jwt_that_the_forged_ones_vary_is_accepted(every_key: Maker, issuers: Issuers, control: str) -> None:
    text, url = CONTROLS[control](every_key), every_key.issuer.url
    claims = await issuers.verified(text, issuer=url, audience=AUDIENCE, at=datetime.fromtimestamp(AT, UTC))
    assert claims["repository"] == "acme/app"


async def test_no_forged_or_mismatched_jwt_is_accepted(every_key: Maker, issuers: Issuers) -> None:
    issuer = every_key.issuer
    believed = {}
    for name, made in FORGED.items():
        with suppress(AssertionRefused):
            believed[name] = await issuers.verified(
                made(Maker(issuer)), issuer=issuer.url, audience=AUDIENCE, at=datetime.fromtimestamp(AT, UTC)
            )
    assert believed == {}
    assert len(FORGED) > 100
    # Whatever keys the JWTs name, only the issuer received a request, and only one.
    assert issuer.requested == ["/.well-known/openid-configuration", "/keys"]
