"""JWTs of a real OIDC issuer, served over TLS: which are believed, and for how long its keys are."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from api.certificates import Authority
from api.oidc_issuer import AUDIENCE, OidcIssuer, oidc_issuer
from api.service import settings_for
from counterfoil_api.auth.issuers import Issuers, open_issuers


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


async def test_a_jwt_that_the_issuer_signed_is_believed(issuers: Issuers, issuer: OidcIssuer) -> None:
    claims = await issuers.verified(issuer.jwt(), issuer=issuer.url, audience=AUDIENCE, at=datetime.now(UTC))
    assert (claims["repository"], claims["iss"]) == ("acme/app", issuer.url)
    assert issuer.asked == ["/.well-known/openid-configuration", "/keys"]
