"""Parsers of foreign bytes in the HTTP layer."""

from uuid import UUID

import msgspec
from cryptography.hazmat.primitives.asymmetric import ec
from hypothesis import strategies as st
from multidict import CIMultiDict, CIMultiDictProxy

from counterfoil.core.refusals import CredentialsRefused
from counterfoil.uses import bearers
from counterfoil_api.auth import credentials, proof
from counterfoil_api.auth.issuers import assertion
from counterfoil_api.auth.issuers.keys import key_set_of
from counterfoil_api.dialects.register import client_headers
from counterfoil_api.http import addresses, cross_site
from counterfoil_api.http.errors import (
    AssertionRefused,
    CredentialsInQuery,
    CredentialsMissing,
    CredentialsRepeated,
    InvalidPrecondition,
    InvalidRequest,
    ProxyMisconfigured,
    TargetRefused,
    UnknownScheme,
)
from counterfoil_api.native.events import following
from counterfoil_api.native.events.documents import LogQuery
from counterfoil_api.native.forward_auth import demand
from counterfoil_api.native.oauth import client_authentication
from counterfoil_api.native.oauth.token_requests import TokenRequest
from counterfoil_api.operations import accepting, etags, form_fields
from fuzz.parser import BASIC, ID, SECRET, Parser, oneof

RING = bearers.key_ring("https://tokens.example", ec.generate_private_key(ec.SECP256R1()))
BEARER = RING.sign(
    bearers.Claims(
        iss="https://tokens.example", sub="s", client_id=ID, aud="a", iat=1, exp=2, jti=ID, scope="a.b",
        account=UUID(ID), token=UUID(ID), generation=1,
    )
)  # fmt: skip
JWKS = msgspec.json.encode({"keys": RING.jwks}).decode()


def _headers_of(lines: str) -> CIMultiDictProxy[str]:
    """Header fields, one a line, as aiohttp would give them."""
    named = ((name, value) for name, _, value in (line.partition(": ") for line in lines.split("\n")))
    return CIMultiDictProxy(CIMultiDict(named))


def _trusting(lines: str) -> object:
    peer = addresses.address_of("10.0.0.1")
    return addresses.network_of(addresses.Proxies(("10.0.0.0/8", "fd00::/8", "unix")).client(peer, lines.split("\n")))


WEB: dict[str, Parser] = {
    "counterfoil_api.auth.credentials:credentials": Parser(
        credentials.credentials,
        oneof(f"Bearer {SECRET}", f"Bearer {BEARER}", f"Basic {BASIC}"),
        (CredentialsRefused, UnknownScheme),
        tuple(
            f"{module}:{name}"
            for module, names in (
                ("counterfoil_api.auth.credentials", ("password_of", "_user_and_password")),
                ("counterfoil.core.credentials", ("token", "client_secret", "is_id", "is_visible")),
            )
            for name in names
        ),
        known=("Bearer ", "Basic ", "Basic YTph"),
    ),
    "counterfoil_api.native.oauth.client_authentication:form_encoded": Parser(
        lambda pair: client_authentication.form_encoded(*pair.split(":", 1)) if ":" in pair else None,
        oneof(f"{ID}:{SECRET}", f"{ID.replace('-', '%2D')}:%63fl_a%2Bb%2Fc", "a%40example.org:p+w"),
        (CredentialsRefused,),
        ("counterfoil_api.native.oauth.client_authentication:_decoded",),
        known=(f"{ID}:%zz", f"{ID}:%ff", f"{ID}:%00"),
    ),
    "counterfoil_api.http.cross_site:is_cross_site": Parser(
        lambda lines: cross_site.is_cross_site(_headers_of(lines)),
        oneof("Sec-Fetch-Site: cross-site", "Origin: https://a.example\nHost: a.example"),
        (),
        ("counterfoil_api.http.cross_site:_host",),
        known=("Origin: https://[", "Origin: null", "Origin: "),
    ),
    "counterfoil_api.auth.credentials:credentials_of": Parser(
        lambda lines: credentials.credentials_of(_headers_of(lines)),
        oneof(f"Authorization: Bearer {SECRET}", f"authorization: Basic {BASIC}\nAuthorization: Basic {BASIC}"),
        (CredentialsMissing, CredentialsRefused, CredentialsRepeated, UnknownScheme),
    ),
    "counterfoil_api.auth.proof:proof_of": Parser(
        lambda lines: proof.proof_of(_headers_of(lines), (proof.OWN, *client_headers())),
        oneof(f"X-Client-Id: {ID}\nX-Client-Secret: {SECRET}", f"CF-Access-Client-Id: {ID}.access\nAuthorization: a"),
        (CredentialsMissing, CredentialsRefused, CredentialsRepeated, UnknownScheme),
        ("counterfoil_api.auth.proof:pair",),
        known=("X-Client-Id: ",),
    ),
    "counterfoil_api.native.forward_auth.demand:demand_of": Parser(
        demand.demand_of,
        oneof(
            f"/v1/forward?account={ID}&scope=a.b&audience=https://x",
            f"/v1/forward/account/{ID}/scope/a.b/-/any/thing?a=b",
            f"/v1/forward/account/{ID}/scope/a%20b/audience/https%3A%2F%2Fx/-",
        ),
        (ProxyMisconfigured,),
        ("counterfoil_api.native.forward_auth.demand:_from_path", "counterfoil_api.native.forward_auth.demand:_demand"),
        known=("/v1/forward?", "/v1/forward/", "/v1/forward/account/"),
    ),
    "counterfoil_api.operations.form_fields:fields_of": Parser(
        lambda given: form_fields.fields_of(given, where="query"),
        oneof("a=b&c=%C3%A9", "limit=5"),
        (InvalidRequest, CredentialsInQuery),
        ("counterfoil_api.operations.form_fields:_pairs_of",),
        known=("a=",),
    ),
    "counterfoil_api.operations.form_fields:form_of": Parser(
        lambda given: form_fields.form_of(given, frozenset({"audience"})),
        oneof("audience=a&audience=b&c=d", "a=b"),
        (InvalidRequest,),
    ),
    "counterfoil_api.operations.etags:expectation": Parser(
        etags.expectation,
        oneof('"1", "2"', "*", '"x" ,, "9"'),
        (InvalidPrecondition,),
        tuple(f"counterfoil_api.operations.etags:{name}" for name in ("tags_of", "Tag.own", "Tag.revision")),
        known=('"1"',),
    ),
    "counterfoil_api.native.events.following:resumed": Parser(
        lambda given: following.resumed(LogQuery(), given), oneof("17", "0", "latest"), (InvalidRequest,)
    ),
    "counterfoil_api.operations.accepting:preferred": Parser(
        lambda given: (accepting.preferred(given, ("a/b", "a/c")), accepting.accepts(given, "gzip")),
        oneof("a/c;q=0.5, */*", "gzip;q=0, *", "text/html;level=1;q=0.9,a/*"),
        covers=("counterfoil_api.operations.accepting:_qualities",),
        known=("a/b;q=", "gzip;q=0."),
    ),
    "counterfoil_api.http.addresses:address_of": Parser(
        addresses.address_of, oneof("192.0.2.1", "::ffff:1.2.3.4", "fe80::1%eth0")
    ),
    "counterfoil_api.http.addresses:Proxies.client": Parser(
        _trusting,
        oneof("192.0.2.1, 10.0.0.2", "[2001:db8::1]:443,10.0.0.2", "10.1.1.1:99\n10.1.1.1"),
        covers=("counterfoil_api.http.addresses:_network",),
    ),
    "counterfoil_api.native.oauth.token_requests:_is_absolute": Parser(
        lambda given: TokenRequest(grant_type="", resource=tuple(given.split("\n"))).targets,
        oneof("https://api.example", "urn:a:b", "https://[::1]:8/x"),
        (TargetRefused,),
        known=("https://[", "https://"),
    ),
    "counterfoil_api.auth.issuers.assertion:read": Parser(
        assertion.read,
        st.just(BEARER),
        (AssertionRefused,),
        tuple(
            f"counterfoil_api.auth.issuers.{name}"
            for name in ("assertion:_bytes", "strict_json:decoded", "strict_json:_finite")
        ),
        known=(BEARER.partition(".")[0] + ".",),
    ),
    "counterfoil_api.auth.issuers.keys:key_set_of": Parser(
        key_set_of, st.just(JWKS), (ValueError,), in_bytes=True, known=('{"keys":[', '{"keys":[{"kty":"RSA","n":"')
    ),
    "counterfoil.uses.bearers:KeyRing.claims_of": Parser(
        RING.claims_of,
        st.just(BEARER),
        (CredentialsRefused,),
        ("counterfoil.uses.bearers:KeyRing.may_know", "counterfoil.uses.bearers:_s_of"),
        known=(BEARER.partition(".")[0] + ".", BEARER[:-2]),
    ),
}
