"""The OpenAPI document that is generated from the routes."""

import msgspec
from openapi_spec_validator import OpenAPIV31SpecValidator

from api.sample_app import things
from counterfoil_api.application import routes
from counterfoil_api.operations.openapi import document
from counterfoil_api.operations.replies import TOKEN_HEADERS

DOCUMENT = msgspec.to_builtins(document(things.routes, version="1", url="https://tokens.example.org"))


def test_the_document_is_valid_openapi() -> None:
    assert [error.message for error in OpenAPIV31SpecValidator(DOCUMENT).iter_errors()] == []


def test_an_operation_is_described_by_its_signature() -> None:
    make = DOCUMENT["paths"]["/things"]["post"]
    assert make["operationId"] == "make_thing"
    assert make["summary"] == "Make a thing"
    assert make["description"] == "A longer word about it."
    assert make["security"] == [{"token": []}, {"password": []}]
    assert [parameter["name"] for parameter in make["parameters"]] == ["Idempotency-Key"]
    assert make["requestBody"]["content"]["application/json"]["example"]["name"] == "a"
    limits = {"RateLimit", "RateLimit-Policy"}
    headers = {"ETag", "Location", "Idempotency-Replayed", *limits, *TOKEN_HEADERS, "X-Request-Id"}
    assert set(make["responses"]["201"]["headers"]) == headers
    assert "Retry-After" in make["responses"]["503"]["headers"]
    assert "urn:counterfoil:problem:scope-missing" in make["responses"]["403"]["description"]
    assert "422" in make["responses"]


def test_queries_and_forms_are_described_field_by_field() -> None:
    limit = DOCUMENT["paths"]["/things"]["get"]["parameters"][1]
    assert limit["schema"] == {"type": "integer", "minimum": 1, "maximum": 200, "default": 50}
    form = DOCUMENT["paths"]["/form"]["post"]["requestBody"]
    assert form["required"] is True
    assert set(form["content"]) == {"application/x-www-form-urlencoded"}


def test_if_match_adds_its_refusals() -> None:
    change = DOCUMENT["paths"]["/things/{ref}"]["patch"]
    assert {"400", "412"} <= set(change["responses"])
    assert change["requestBody"]["required"] is False


def test_only_operations_with_effects_document_an_unknown_outcome() -> None:
    drawn = msgspec.to_builtins(document(routes(), version="1", url="https://tokens.example.org"))["paths"]
    doubtful = {
        (method, path)
        for path, item in drawn.items()
        for method, operation in item.items()
        if "outcome-unknown" in msgspec.json.encode(operation["responses"]).decode()
    }
    assert doubtful == {(route.method.lower(), route.path) for route in routes() if route.changes}


def test_each_path_parameter_is_described() -> None:
    stated: dict[tuple[str, str], str] = {}
    for path, operations in document(routes(), version="1", url="https://tokens.example.org")["paths"].items():
        for operation in operations.values():
            for parameter in operation.get("parameters", []):
                if parameter["in"] == "path":
                    assert parameter["schema"]["pattern"], path
                    stated[path.split("/")[2], parameter["name"]] = parameter["description"].partition(",")[0]
    assert stated == {
        ("tokens", "ref"): "A token's id",
        ("users", "user"): "A user's id",
        ("revocations", "revocation"): "A bulk revocation's id.",
        ("subscriptions", "subscription"): "A subscription's id.",
        ("subscriptions", "delivery"): "A delivery's id: its webhook-id.",
        ("scopes", "scope"): "A scope",
        ("scope-sets", "name"): "The name of a set of scopes.",
        ("owners", "owner_type"): "What the owner is.",
        ("owners", "owner_id"): "The owner's id; for a user also the number or the e-mail address.",
    }


def test_every_operation_documents_the_general_refusals() -> None:
    for path, operations in document(routes(), version="1", url="https://tokens.example.org")["paths"].items():
        for operation in operations.values():
            assert {"400", "405", "408", "415", "417", "422", "431", "500", "503"} <= set(operation["responses"]), path
