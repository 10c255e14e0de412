"""The scopes that a proxy demands in its URL; nothing that a client appends becomes part of them."""

from urllib.parse import quote
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from counterfoil.core.secret import mint
from counterfoil_api.http.errors import ProxyMisconfigured
from counterfoil_api.native.forward_auth.demand import Demand, demand_of

ID = "01a20070-8de1-7662-8ce2-f3250b57a6ef"
AUDIENCE = "https://app.example"
QUERIED = f"/v1/forward?account={ID}&scope=invoices.read&audience={AUDIENCE}"
SPELT = f"/v1/forward/account/{ID}/scope/invoices.read/audience/{quote(AUDIENCE, safe='')}/-"
DEMAND = Demand(UUID(ID), ("invoices.read",), AUDIENCE)


@pytest.mark.parametrize(
    ("target", "demand"),
    [
        (QUERIED, DEMAND),
        (f"/v1/forward?scope=invoices.read&audience={quote(AUDIENCE, safe='')}&account={ID.upper()}", DEMAND),
        (SPELT, DEMAND),
        (f"{SPELT}/", DEMAND),
        (f"{SPELT}?scope=other", DEMAND),
        (f"{SPELT}/orders/7?scope=other&account=none", DEMAND),
        (f"/v1/forward?account={ID}&scope=a+b.*%20c+a", Demand(UUID(ID), ("a", "b.*", "c"), None)),
        (f"/v1/forward/scope/a%20b/account/{ID}/-/x", Demand(UUID(ID), ("a", "b"), None)),
    ],
)
def test_both_forms_mean_the_same(target: str, demand: Demand) -> None:
    assert demand_of(target) == demand


@given(st.text(st.characters(min_codepoint=0x21, max_codepoint=0x7E)))
def test_an_appended_path_demands_nothing(original: str) -> None:
    assert demand_of(f"{SPELT}/{original}") == DEMAND
    assert demand_of(f"{SPELT}?{original}") == DEMAND


@given(st.lists(st.sampled_from(["/", "-", "..", "//", "%2f", "%2F-%2F", "scope", "account", "?", "&", "=", ID, "a"])))
def test_no_path_of_a_client_reduces_the_demand(pieces: list[str]) -> None:
    assert demand_of(f"{SPELT}/{''.join(pieces)}") == DEMAND


@pytest.mark.parametrize(
    "target",
    [
        "/v1/forward",
        "/v1/forward?",
        f"/v1/forward?account={ID}",
        f"/v1/forward?account={ID}&scope=",
        f"/v1/forward?account={ID}&scope=+",
        f"/v1/forward?account={ID}&scope=a++b",
        f"/v1/forward?account={ID}&scope=*",
        f"/v1/forward?account={ID}&scope=a,b",
        f"/v1/forward?account={ID}&scope={'+'.join(f's{number}' for number in range(21))}",
        "/v1/forward?scope=a",
        "/v1/forward?scope=a&account=",
        "/v1/forward?scope=a&account=*",
        f"/v1/forward?scope=a&account={{{ID}}}",
        f"/v1/forward?scope=a&account={ID.replace('-', '')}",
        f"/v1/forward?account={ID}&scope=a&scope=b",
        f"/v1/forward?account={ID}&account={ID}&scope=a",
        f"/v1/forward?account={ID}&scope=a&audience=",
        f"/v1/forward?account={ID}&scope=a&audience=a%20b",
        f"/v1/forward?account={ID}&scope=a&audience=a&audience=b",
        f"/v1/forward?account={ID}&scope=a&scopes=b",
        f"/v1/forward?account={ID}&scope=a&token={mint('service').plain}",
        f"/v1/forward?account={ID}&scope=a%FF",
        f"/v1/forward?account={ID}&scope=a%00",
        f"/v1/forward?account={ID}&scope=a/orders?scope=b",
        f"/v1/forward/?account={ID}&scope=a",
        f"/v1/forward/orders?account={ID}&scope=a",
        f"/v1/forward/-/?account={ID}&scope=a",
        f"/v1/forward/account/{ID}/-",
        f"/v1/forward/account/{ID}/scope/a",
        f"/v1/forward/account/{ID}/scope/a/orders",
        f"/v1/forward/account/{ID}/scope/a/orders/-/",
        f"/v1/forward/account/{ID}/scope/a/scope/b/-/",
        f"/v1/forward/account/{ID}/scope/-/",
        f"/v1/forward/account/{ID}/scope//-/",
        f"/v1/forward//account/{ID}/scope/a/-/",
        f"/v1/forward/account/{ID}/scope/a%2Fb/-/",
        f"/v1/forward/account/{ID}/scope/%FF/-/",
        f"/v1/forward/account/{ID}%2Fscope%2Fa%2F-%2F",
        f"/v1/forward/../forward/account/{ID}/scope/a/-/",
        f"/v1/forward-x/account/{ID}/scope/a/-/",
        f"http://evil.example/v1/forward?account={ID}&scope=a",
        f"//v1/forward?account={ID}&scope=a",
        "*",
        "",
    ],
)
def test_an_unreadable_demand_lets_no_request_pass(target: str) -> None:
    with pytest.raises(ProxyMisconfigured):
        demand_of(target)
