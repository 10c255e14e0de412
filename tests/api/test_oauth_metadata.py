"""RFC 8414: the metadata, and that every address in them exists."""

import pytest
from aiohttp import ClientSession
from authlib.oauth2.rfc8414 import AuthorizationServerMetadata, get_well_known_url
from yarl import URL

from api.oauth import ISSUER, as_client
from api.service import Caller, served, settings_for
from counterfoil.settings import Settings
from counterfoil_api.application import make_app

METADATA = "/.well-known/oauth-authorization-server"


async def test_the_metadata_conform_to_rfc_8414(admin: Caller) -> None:
    answer = await admin.get(METADATA)
    assert answer.headers["Cache-Control"] == "public, max-age=300"
    assert answer.json["issuer"] == ISSUER
    assert answer.json["response_types_supported"] == []
    judged = AuthorizationServerMetadata(answer.json)
    for name in set(judged.REGISTRY_KEYS) - {"authorization_endpoint", "response_types_supported"}:
        getattr(judged, f"validate_{name}")()


async def test_every_address_in_the_metadata_answers(admin: Caller) -> None:
    metadata = (await admin.get(METADATA)).json
    issued = await admin.issue(scopes=["tokens.introspect"])
    client = as_client(admin, issued)
    paths = {
        name: value.removeprefix(ISSUER) for name, value in metadata.items() if str(value).startswith(f"{ISSUER}/")
    }
    assert set(paths) == {
        "token_endpoint", "jwks_uri", "introspection_endpoint", "revocation_endpoint", "service_documentation",
    }  # fmt: skip
    for name in ("jwks_uri", "service_documentation"):
        assert (await admin.get(paths[name])).status == 200
    bought = await client.form(paths["token_endpoint"], grant_type=metadata["grant_types_supported"][0])
    text = bought.json["access_token"]
    assert (await client.form(paths["introspection_endpoint"], token=text)).json["iss"] == metadata["issuer"]
    assert (await client.form(paths["revocation_endpoint"], token=issued["secret"])).status == 200
    assert (await client.form(paths["token_endpoint"], grant_type="client_credentials")).status == 401


@pytest.mark.parametrize("path", ["/tokens", "/a/b"])
async def test_the_metadata_of_an_issuer_with_a_path_are_where_rfc_8414_says(api_settings: Settings, path: str) -> None:
    settings = settings_for(api_settings.database_url, PUBLIC_URL=f"https://example.org{path}")
    async with served(make_app(settings)) as url, ClientSession(url) as session:
        looked_for = URL(get_well_known_url(settings.public_url, external=True)).path
        assert looked_for == METADATA + path
        caller = Caller(session, "")
        found = await caller.get(looked_for)
        assert (found.status, found.json["issuer"]) == (200, settings.public_url)
        assert found.json["token_endpoint"] == f"{settings.public_url}/v1/oauth/token"
        assert (await caller.ask("HEAD", looked_for)).status == 200
        assert (await caller.get(METADATA)).body == found.body
        assert (await caller.get(METADATA + "/other")).problem == "no-such-path"
