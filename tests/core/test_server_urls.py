"""A URL that the driver would refuse later is refused at the start."""

import pytest

from counterfoil.settings import BadSetting, Settings

KEY = "a2V5a2V5a2V5a2V5a2V5a2V5a2V5a2V5a2V5a2V5a2U="


def told(name: str, url: str) -> Settings:
    needed = {"DATABASE_URL": "postgresql://a@b/c", "REDIS_URL": "redis://b/0", "KEY_ENCRYPTION_KEY": KEY, name: url}
    return Settings.from_environment(needed, command="worker")


def complaint(name: str, url: str) -> str:
    with pytest.raises(BadSetting) as caught:
        told(name, url)
    assert caught.value.name == name
    return str(caught.value)


@pytest.mark.parametrize(
    ("url", "says"),
    [
        ("postgresql://a:b@c/d?schema=public", "has the parameter 'schema', which a connection does not have"),
        ("postgresql://a:b@c/d?sslmode=require&schema=public", "has the parameter 'schema'"),
        ("postgresql://a:b@c/d&schema=public", None),
        ("postgresql://a:b@c/d?statement_timeout=1", "has the parameter 'statement_timeout'"),
        ("postgresql://a:b@c/d?options=-c%20jit=off", "has the parameter 'options'"),
        ("postgresql://a:b@c/d?sslmode=yes", "has the parameter sslmode, which has to be one of disable, allow, "),
        ("postgresql://a:b@c/d?target_session_attrs=master", "has to be one of any, primary, "),
        ("postgresql://a:b@c/d?sslmode", "has to end with parameters such as ?name=value"),
        ("postgresql://a:swor/fish@c/d", "holds a character in its password that has to be written as %2F"),
        ("postgresql://a:swor?fish=1@c/d", "holds a character in its password"),
        ("postgresql://a:swor#fish@c/d", "holds a character in its password"),
        ("postgresql://a:b@c:port/d", "has to name its host and port as host:5432"),
        ("postgresql://a:b@::1/d", "has to name its host and port as host:5432, or [::1]:5432"),
        ("postgresql://a:b@[::1/d", "holds square brackets"),
        ("postgresql:a", "has to begin with postgresql://"),
    ],
)
def test_an_invalid_postgres_url_is_refused(url: str, says: str | None) -> None:
    if says is None:
        assert told("DATABASE_URL", url).database_url == url  # a strange name for a database, but a valid one
        return
    said = complaint("DATABASE_URL", url)
    assert said.startswith("DATABASE_URL ")
    assert says in said
    assert "fish" not in said


@pytest.mark.parametrize(
    "url",
    [
        "postgresql:///counterfoil",
        "postgres://a@/b?host=/run/postgresql&port=6432",
        "postgresql://a:b@c,d:5433,[::1]:5434/e?target_session_attrs=read-write",
        "postgresql://a:b%2F%3F%23%40@c/d?sslmode=verify-full&sslrootcert=/run/tls/ca.pem",
    ],
)
def test_options_that_the_postgres_driver_knows_are_accepted(url: str) -> None:
    assert told("DATABASE_URL", url).database_url == url
    assert told("MIGRATE_DATABASE_URL", url).migrate_database_url == url


@pytest.mark.parametrize(
    ("url", "says"),
    [
        ("redis://c/0?schema=public", "has the parameter 'schema'"),
        ("redis://c/zero", "has to end with the number of a database, such as /0"),
        ("redis://c:port/0", "has to name its host and port"),
        ("redis://c?db=first", "has the parameter db, which has to be a whole number"),
        ("rediss://c?ssl_cert_reqs=maybe", "has to be one of none, optional, required"),
        ("redis://:swor/fish@c/0", "holds a character in its password"),
    ],
)
@pytest.mark.parametrize("name", ["REDIS_URL", "LIMITS_REDIS_URL"])
def test_an_invalid_redis_url_is_refused(name: str, url: str, says: str) -> None:
    said = complaint(name, url)
    assert says in said
    assert "fish" not in said


@pytest.mark.parametrize(
    "url",
    ["redis://c", "redis://:d@c:6380/1", "rediss://c/0?ssl_ca_certs=/run/tls/ca.pem", "unix:///run/valkey.sock?db=1"],
)
def test_options_that_the_redis_driver_knows_are_accepted(url: str) -> None:
    assert told("REDIS_URL", url).redis_url == url
