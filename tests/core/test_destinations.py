"""Which addresses the service may call, decided without a look-up."""

import pytest

from counterfoil.core.destinations import (
    Allowed,
    Destination,
    DestinationRefused,
    destination_of,
    refuse_closed_port,
    vetted,
    webhook_destination_of,
)

NAME = Destination("idp.example.org", 443)
PUBLIC = "93.184.215.14"


@pytest.mark.parametrize(
    ("url", "host", "port"),
    [
        ("https://idp.example.org", "idp.example.org", 443),
        ("https://IDP.Example.org/a/b?c=d%20e", "idp.example.org", 443),
        ("https://idp.example.org:8443/", "idp.example.org", 8443),
        ("https://xn--bcher-kva.example", "xn--bcher-kva.example", 443),
        ("https://93.184.215.14/", "93.184.215.14", 443),
        ("https://[2606:2800:21f:0::1]:444/x", "2606:2800:21f::1", 444),
    ],
)
def test_an_https_url_is_parsed(url: str, host: str, port: int) -> None:
    found = destination_of(url)
    assert (found.host, found.port) == (host, port)


@pytest.mark.parametrize(
    "url",
    [
        "", "idp.example.org", "http://idp.example.org", "HTTPS://idp.example.org", "ftp://idp.example.org",
        "file:///etc/passwd", "https://", "https:///x", "https:idp.example.org", "https:/idp.example.org",
        "https://user@idp.example.org", "https://user:password@idp.example.org", "https://@idp.example.org",
        "https://idp.example.org#fragment", "https://idp.example.org/#", "https://idp.example.org\\@127.0.0.1/",
        "https://idp.example.org/a b", "https://idp.example.org/a\r\nHost: b", "https://idp.example.org/\u00e9",
        " https://idp.example.org", "https://idp.example.org\n", "https://idp.example.org.", "https://.example.org",
        "https://idp..example.org", "https://-.example.org", "https://idp.example.org:", "https://idp.example.org:0",
        "https://idp.example.org:0443", "https://idp.example.org:65536", "https://idp.example.org:https",
        "https://b\u00fccher.example", "https://idp.example.org\u3002evil.example", "https://\u212aelvin.example",
        "https://\uff11\uff12\uff17.0.0.1", "https://\u2460\u2461\u2466.0.0.1", "https://a%2eb/", "https://127.0.0.1%00",
        f"https://{'a' * 64}.example", "https://" + ".".join(["a" * 60] * 5), f"https://a.example/{'x' * 2_048}",
    ],
)  # fmt: skip
def test_other_forms_of_a_url_are_refused(url: str) -> None:
    with pytest.raises(DestinationRefused):
        destination_of(url)


@pytest.mark.parametrize(
    "host",
    [
        "2130706433", "017700000001", "0x7f000001", "0X7F000001", "0x7f.1", "127.1", "127.0.1", "0177.0.0.1",
        "127.0.0.0x1", "127.000.000.001", "256.0.0.1", "1.2.3.4.5", "example.0x", "example.1", "[::1%25lo]", "[::1%lo]",
        "[fe80::1%25eth0]", "[127.0.0.1]", "[::g]", "[::1", "::1", "[v1.x]", "[1::2::3]",
    ],
)  # fmt: skip
def test_a_url_has_one_canonical_form(host: str) -> None:
    with pytest.raises(DestinationRefused):
        destination_of(f"https://{host}/")


INNER = [
    "0.0.0.0", "0.1.2.3", "10.0.0.1", "10.255.255.255", "100.64.0.1", "100.100.100.200", "127.0.0.1", "127.255.0.1",
    "169.254.169.254", "169.254.0.1", "172.16.0.1", "172.31.255.255", "192.0.0.192", "192.0.2.1", "192.88.99.1",
    "192.168.1.1", "198.18.0.1", "198.19.255.255", "198.51.100.1", "203.0.113.1", "224.0.0.1", "239.255.255.250",
    "240.0.0.1", "255.255.255.255", "168.63.129.16",
    "::", "::1", "::127.0.0.1", "::ffff:127.0.0.1", "::ffff:93.184.215.14", "::ffff:0:127.0.0.1", "64:ff9b::7f00:1",
    "64:ff9b::5db8:d70e", "64:ff9b:1::1", "100::1", "2001::1", "2001:db8::1", "2002:7f00:1::", "3fff::1", "5f00::1",
    "fc00::1", "fd00:ec2::254", "fd20:ce::254", "fe80::1", "fec0::1", "ff02::1", "4000::1",
]  # fmt: skip


@pytest.mark.parametrize("address", INNER)
def test_no_internal_address_is_called(address: str) -> None:
    with pytest.raises(DestinationRefused):
        vetted(NAME, [address], Allowed())


@pytest.mark.parametrize("address", INNER)
def test_one_internal_address_among_public_ones_is_refused(address: str) -> None:
    with pytest.raises(DestinationRefused):
        vetted(NAME, [PUBLIC, address, "2606:2800:21f::1"], Allowed())


@pytest.mark.parametrize(
    "address",
    ["1.1.1.1", "9.255.255.255", "11.0.0.0", "100.63.255.255", "100.128.0.0", "126.255.255.255", "128.0.0.0",
     "169.253.255.255", "169.255.0.0", "172.15.255.255", "172.32.0.0", "192.167.255.255", "198.17.255.255",
     "198.20.0.0", "223.255.255.255", "168.63.129.17", "2001:200::1", "2606:2800:21f::1", "2a00:1450:4001::1"],
)  # fmt: skip
def test_the_neighbours_of_internal_networks_are_public(address: str) -> None:
    assert [str(found) for found in vetted(NAME, [address], Allowed())] == [address]


def test_a_name_without_an_address_and_an_address_with_a_zone_are_refused() -> None:
    for found in ([], ["2606:2800:21f::1%eth0"]):
        with pytest.raises(DestinationRefused):
            vetted(NAME, found, Allowed())


def test_the_port_is_443() -> None:
    refuse_closed_port(NAME, Allowed())
    for port in (22, 80, 6379, 8443):
        with pytest.raises(DestinationRefused):
            refuse_closed_port(Destination(NAME.host, port), Allowed())


def test_the_operator_allows_a_host_at_one_port_only() -> None:
    allowed = Allowed.of(["gitlab.lan:8443", "[::1]:9000"])
    gitlab = destination_of("https://GitLab.lan:8443/x")
    refuse_closed_port(gitlab, allowed)
    assert len(vetted(gitlab, ["10.0.0.7", "fc00::7", PUBLIC], allowed)) == 3
    for url in ("https://gitlab.lan:8444/", "https://other.lan:8443/", "https://[::1]:9001"):
        with pytest.raises(DestinationRefused):
            refuse_closed_port(destination_of(url), allowed)
    for host in ("https://gitlab.lan/", "https://other.lan/"):
        with pytest.raises(DestinationRefused):
            vetted(destination_of(host), ["10.0.0.7"], allowed)
    loopback = destination_of("https://[0:0::1]:9000/")
    assert [str(each) for each in vetted(loopback, ["::1"], allowed)] == ["::1"]


@pytest.mark.parametrize("address", ["169.254.169.254", "100.100.100.200", "fd00:ec2::254", "fe80::1", "0.0.0.0",
                                     "224.0.0.1", "::ffff:10.0.0.7", "64:ff9b::a00:7", "168.63.129.16"])  # fmt: skip
def test_an_allowed_host_may_not_resolve_to_a_metadata_address(address: str) -> None:
    with pytest.raises(DestinationRefused):
        vetted(destination_of("https://gitlab.lan"), [address], Allowed.of(["gitlab.lan"]))


def test_an_allowed_network_applies_to_all_names() -> None:
    allowed = Allowed.of(["10.1.0.0/16", "fd00::/8"])
    assert len(vetted(NAME, ["10.1.2.3", "fd00::1"], allowed)) == 2
    with pytest.raises(DestinationRefused):
        vetted(NAME, ["10.2.0.1"], allowed)


def test_http_is_allowed_only_for_webhooks_at_a_host_that_the_operator_allows_it_for() -> None:
    allowed = Allowed.of(["http://hooks.lan:8080", "gitlab.lan:8443", "10.9.0.0/16"])
    hook = webhook_destination_of("http://hooks.lan:8080/x")
    refuse_closed_port(hook, allowed)
    assert len(vetted(hook, ["10.0.0.7"], allowed)) == 1
    for url in ("http://hooks.lan/", "http://hooks.lan:8081/", "http://gitlab.lan:8443/", "http://example.org/"):
        with pytest.raises(DestinationRefused):
            refuse_closed_port(webhook_destination_of(url), allowed)
    assert webhook_destination_of("http://example.org/") == Destination("example.org", 80, plain=True)
    with pytest.raises(DestinationRefused):
        destination_of("http://hooks.lan:8080/x")
