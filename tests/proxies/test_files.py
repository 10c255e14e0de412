"""The shipped configurations name all that the API has and nothing else."""

import re
from typing import Any
from uuid import UUID

import pytest
import yaml

from counterfoil_api.auth.proof import OWN
from counterfoil_api.dialects.register import client_headers
from counterfoil_api.native.forward_auth.demand import Demand, demand_of
from counterfoil_api.native.forward_auth.forward import IDENTITY
from proxies.running import AUDIENCE, FILES, NOBODYS_ACCOUNT, SCOPE

NAMES = ("nginx.conf", "traefik.yaml", "traefik.dynamic.yaml", "envoy.yaml")
ASKING = ("nginx.conf", "traefik.dynamic.yaml", "envoy.yaml")
CREDENTIALS = {"authorization", *(name.lower() for pair in (OWN, *client_headers()) for name in pair)}


def text(name: str) -> str:
    """A configuration without comments."""
    return re.sub(r"(^|\s)#.*", "", (FILES / name).read_text())


def parsed(name: str) -> Any:
    return yaml.safe_load((FILES / name).read_text())


def filters() -> dict[str, Any]:
    """Envoy's HTTP filters, and its virtual host."""
    (chain,) = parsed("envoy.yaml")["static_resources"]["listeners"][0]["filter_chains"]
    manager = chain["filters"][0]["typed_config"]
    (host,) = manager["route_config"]["virtual_hosts"]
    named = {each["name"].rpartition(".")[2]: each["typed_config"] for each in manager["http_filters"]}
    return {**named, "host": host}


def test_every_file_is_run_by_a_test() -> None:
    assert {path.name for path in FILES.iterdir()} - {"README.md"} == set(NAMES)


@pytest.mark.parametrize("name", ASKING)
def test_exactly_the_headers_of_the_answer_are_passed_on(name: str) -> None:
    named = set(re.findall(r"\bx-counterfoil-[a-z-]+", text(name).lower()))
    assert named == {header.lower() for header in IDENTITY}


@pytest.mark.parametrize("name", ASKING)
def test_every_demand_in_a_configuration_is_valid(name: str) -> None:
    (target,) = re.findall(r"/v1/forward[/?][^\s;\"]+", text(name))
    behind = "/orders?scope=other" if "/-" in target else ""
    assert demand_of(target + behind) == Demand(UUID(NOBODYS_ACCOUNT), (SCOPE,), AUDIENCE)


def test_nginx_forwards_credentials_to_the_api_and_not_to_the_application() -> None:
    brought = dict(re.findall(r"proxy_set_header (\S+) \$http_(\w+);", text("nginx.conf")))
    assert {name.lower() for name in brought} == CREDENTIALS
    assert all(name.lower().replace("-", "_") == variable for name, variable in brought.items())
    cleared = re.findall(r'proxy_set_header (\S+) "";', text("nginx.conf"))
    assert {name.lower() for name in cleared} - {"connection"} == CREDENTIALS


def test_traefik_forwards_credentials_to_the_api_and_not_to_the_application() -> None:
    middlewares = parsed("traefik.dynamic.yaml")["http"]["middlewares"]
    asking = middlewares["counterfoil"]["forwardAuth"]
    assert {name.lower() for name in asking["authRequestHeaders"]} == CREDENTIALS
    assert tuple(asking["authResponseHeaders"]) == IDENTITY
    cleared = middlewares["without-credentials"]["headers"]["customRequestHeaders"]
    assert {name.lower() for name in cleared} == CREDENTIALS
    assert set(cleared.values()) == {""}


def test_envoy_forwards_credentials_to_the_api_and_not_to_the_application() -> None:
    found = filters()
    brought = {each["exact"] for each in found["ext_authz"]["allowed_headers"]["patterns"]}
    assert brought | {"authorization"} == CREDENTIALS | {"x-forwarded-for"}
    answer = found["ext_authz"]["http_service"]["authorization_response"]
    passed_on = [each["exact"] for each in answer["allowed_upstream_headers"]["patterns"]]
    assert passed_on == [name.lower() for name in IDENTITY]
    assert set(found["host"]["request_headers_to_remove"]) == CREDENTIALS
    assert list(found)[:3] == ["header_mutation", "ext_authz", "router"]
