import base64
import re
from collections.abc import Mapping
from pathlib import Path

import pytest

from counterfoil.settings import VARIABLES, BadSetting, Command, Settings, Variable

KEY = base64.b64encode(bytes(range(32))).decode()
NEEDED = {
    "DATABASE_URL": "postgresql://counterfoil_app:hunter2@db/counterfoil",
    "REDIS_URL": "redis://:swordfish@cache/0",
    "PEPPERS": f"1:{KEY}",
    "KEY_ENCRYPTION_KEY": KEY,
}


OWNER_URL = "postgresql://counterfoil_owner:hunter3@db/counterfoil"


def settings(**more: str) -> Settings:
    return Settings.from_environment({**NEEDED, **more}, command="api")


def complaint(env: Mapping[str, str]) -> BadSetting:
    with pytest.raises(BadSetting) as caught:
        Settings.from_environment(env, command="api")
    return caught.value


def test_a_few_variables_are_enough() -> None:
    found = settings()
    assert (found.api_host, found.api_port, found.public_url) == ("127.0.0.1", 8080, "http://127.0.0.1:8080")
    assert found.thresholds == (2_592_000, 604_800, 86_400)
    assert (found.bearer_lifetime_seconds, found.sweep_interval_seconds) == (3600, 5.0)
    assert found.grace_notice_seconds == 86_400
    assert found.peppers == {1: bytes(range(32))}
    assert found.migrate_database_url == ""


@pytest.mark.parametrize("name", ["DATABASE_URL", "PEPPERS", "KEY_ENCRYPTION_KEY"])
def test_a_missing_variable_is_named_with_a_remedy(name: str) -> None:
    for missing in ({}, {name: ""}, {name: "  "}):
        refused = complaint({**{k: v for k, v in NEEDED.items() if k != name}, **missing})
        assert refused.name == name
        assert re.match(f"{name} is not set, and `counterfoil api` needs it. Set it to .+", str(refused))


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("DATABASE_URL", "mysql://db/counterfoil"),
        ("MIGRATE_DATABASE_URL", "db/counterfoil"),
        ("REDIS_URL", "http://cache"),
        ("PEPPERS", KEY),
        ("PEPPERS", "0:" + KEY),
        ("PEPPERS", f"1:{KEY},1:{KEY}"),
        ("PEPPERS", "1:c2hvcnQ="),
        ("PEPPERS", "1:not base64"),
        ("KEY_ENCRYPTION_KEY", base64.b64encode(bytes(33)).decode()),
        ("PUBLIC_URL", "ftp://tokens.example"),
        ("PUBLIC_URL", "https://me:secret@tokens.example"),
        ("PUBLIC_URL", "https://tokens.example/?a=b"),
        ("API_PORT", "65536"),
        ("API_PORT", "-1"),
        ("API_PORT", "eighty"),
        ("API_PROCESSES", "0"),
        ("LOG_FORMAT", "xml"),
        ("LOG_LEVEL", "chatty"),
        ("NOTICE_THRESHOLDS", "30d,soon"),
        ("NOTICE_THRESHOLDS", "30d,,1d"),
        ("BEARER_LIFETIME", "1"),
        ("BEARER_LIFETIME", "200ms"),
        ("BEARER_LIFETIME", "forever"),
        ("SWEEP_INTERVAL", "0s"),
        ("GRACE_NOTICE", "500ms"),
        ("DATABASE_POOL_SIZE", "1"),
        ("MAX_BODY_BYTES", "12"),
        ("REQUEST_TIMEOUT", "0s"),
        ("MAX_CONNECTIONS", "3"),
        ("METRICS_TOKEN", "secret"),
        ("METRICS_TOKEN", "with some secret blanks"),
        ("LIMITS_REDIS_URL", "http://cache"),
        ("DEFAULT_ACCOUNT", "first"),
        ("OPERATOR_ACCOUNT", "operator"),
        ("RATE_LIMIT", "600"),
        ("RATE_LIMIT", "0/1m"),
        ("RATE_LIMIT", "600/soon"),
        ("GUESS_LIMIT", "60/200ms"),
        ("TRUSTED_PROXIES", "10.0.0.1/8"),
        ("TRUSTED_PROXIES", "10.0.0.0/8,,fd00::/8"),
        ("TRUSTED_PROXIES", "proxy.internal"),
        ("TRUSTED_PROXIES", "0.0.0.0/0"),
        ("EGRESS_ALLOWED", "10.0.0.1/8"),
        ("EGRESS_ALLOWED", "::/0"),
        ("EGRESS_ALLOWED", "https://gitlab.internal"),
        ("EGRESS_ALLOWED", "gitlab.internal,,10.0.0.0/8"),
        ("EGRESS_ALLOWED", "gitlab.internal:0"),
        ("EGRESS_ALLOWED", "gitlab.internal:65536"),
        ("API_HOST", "http://localhost"),
        ("API_HOST", "localhost:8080"),
        ("API_HOST", "::g"),
        ("PUBLIC_URL", "http://::1:8080"),
        ("PUBLIC_URL", "http://[::1"),
        ("PUBLIC_URL", "https://tokens.example:https"),
    ],
)
def test_a_wrong_variable_is_named_and_its_value_not_repeated(name: str, text: str) -> None:
    refused = complaint({**NEEDED, name: text})
    assert refused.name == name
    assert "Set it to" in str(refused)
    private = name.endswith(("_URL", "PEPPERS", "_KEY", "_TOKEN")) and name != "PUBLIC_URL"
    assert (repr(text) in str(refused)) is not (private or "@" in text)
    assert str(refused).startswith(f"{name} ")


def test_the_highest_pepper_need_not_come_first() -> None:
    other = base64.b64encode(bytes(32)).decode()
    assert settings(PEPPERS=f"2:{other}, 1:{KEY}").peppers == {2: bytes(32), 1: bytes(range(32))}


def test_thresholds_are_sorted_without_duplicates() -> None:
    assert settings(NOTICE_THRESHOLDS="1d, 2h30m,1d,24h").thresholds == (86_400, 9000)


def test_a_rate_is_a_number_for_a_duration() -> None:
    assert (settings().rate_limit, settings().guess_limit) == (None, (60, 60))
    assert settings(RATE_LIMIT="100/10s", GUESS_LIMIT="None").rate_limit == (100, 10)
    assert settings(GUESS_LIMIT="None").guess_limit is None
    assert (settings().leak_report_limit, settings(LEAK_REPORT_LIMIT="none").leak_report_limit) == ((60, 3_600), None)


def test_a_sweep_may_run_more_than_once_a_second() -> None:
    assert settings(SWEEP_INTERVAL="200ms").sweep_interval_seconds == 0.2


def test_the_public_url_has_no_trailing_slash() -> None:
    assert settings(PUBLIC_URL="https://tokens.example/ledger/").public_url == "https://tokens.example/ledger"


def test_the_public_url_follows_host_and_port() -> None:
    assert settings(API_HOST="0.0.0.0", API_PORT="9000").public_url == "http://0.0.0.0:9000"


@pytest.mark.parametrize("spelling", ["::1", "[::1]", "0:0:0:0:0:0:0:1", "0000:0000:0000:0000:0000:0000:0000:0001"])
def test_an_ipv6_address_has_one_form_and_brackets_in_urls(spelling: str) -> None:
    found = settings(API_HOST=spelling)
    assert (found.api_host, found.public_url) == ("::1", "http://[::1]:8080")
    assert settings(API_HOST=spelling, PUBLIC_URL="https://tokens.example").public_url == "https://tokens.example"


@pytest.mark.parametrize("variable", VARIABLES, ids=lambda variable: str(variable.name))
def test_the_message_of_every_setting_shows_a_valid_form(variable: Variable) -> None:
    words = [variable.default, *(word.strip("`,:;") for word in variable.says.split())]
    if variable.name == "KEY_ENCRYPTION_KEY":
        words.append(KEY)  # a message shows no key, since users would copy it
    if variable.name == "PEPPERS":
        words = [word.replace("KEY", KEY) for word in words]
    if variable.name == "METRICS_TOKEN":
        words.append("x" * 16)
    assert any(_reads(variable, word) for word in words if word)


def _reads(variable: Variable, text: str) -> bool:
    try:
        variable.read(text)
    except ValueError:
        return False
    return True


def test_certificate_and_key_are_set_together_and_only_with_https() -> None:
    pair = {"TLS_CERTIFICATE": "/run/tls/tls.crt", "TLS_PRIVATE_KEY": "/run/tls/tls.key"}
    assert settings(**pair, PUBLIC_URL="https://tokens.example").tls_certificate == "/run/tls/tls.crt"
    assert complaint({**NEEDED, **pair}).name == "PUBLIC_URL"
    for one, other in (list(pair), list(reversed(pair))):
        assert complaint({**NEEDED, one: pair[one], "PUBLIC_URL": "https://tokens.example"}).name == other


def test_secrets_do_not_show_in_the_repr() -> None:
    shown = repr(
        settings(
            MIGRATE_DATABASE_URL="postgresql://counterfoil_owner:correct-horse@db/counterfoil",
            METRICS_TOKEN="battery-staple-4711",
        )
    )
    for secret in ("hunter2", "swordfish", "correct-horse", "battery-staple", KEY, repr(bytes(range(32)))):
        assert secret not in shown
    assert "api_port=8080" in shown


@pytest.mark.parametrize(
    ("command", "needs"),
    [
        ("api", {"DATABASE_URL", "PEPPERS", "KEY_ENCRYPTION_KEY"}),
        ("worker", {"DATABASE_URL", "REDIS_URL", "KEY_ENCRYPTION_KEY"}),
        ("migrate", {"DATABASE_URL", "MIGRATE_DATABASE_URL"}),
        ("account", {"DATABASE_URL", "PEPPERS"}),
        ("audit", {"DATABASE_URL"}),
        ("sealer", {"DATABASE_URL"}),
    ],
)
def test_each_command_reads_only_the_settings_that_it_needs(command: Command, needs: set[str]) -> None:
    least = {name: text for name, text in {**NEEDED, "MIGRATE_DATABASE_URL": OWNER_URL}.items() if name in needs}
    assert Settings.from_environment(least, command=command).database_url
    for name in needs:
        with pytest.raises(BadSetting, match=f"^{name} is not set"):
            Settings.from_environment({**least, name: ""}, command=command)


def test_every_variable_sets_its_own_field() -> None:
    assert sorted(variable.field for variable in VARIABLES) == sorted(Settings.__struct_fields__)


def test_an_optional_variable_left_empty_is_absent() -> None:
    assert settings(PROMETHEUS_MULTIPROC_DIR="").prometheus_multiproc_dir is None


def test_the_readme_documents_every_setting_and_its_default() -> None:
    readme = (Path(__file__).parents[2] / "services" / "README.md").read_text()
    for variable in VARIABLES:
        default = f"`{variable.default}`" if variable.default else "none"
        assert f"| `{variable.name}` | {default} | {', '.join(variable.needed_by)} | {variable.says} |" in readme


def test_dialects_are_all_none_or_named() -> None:
    assert settings().dialects == ("scalingo", "cloudflare", "canvus", "virtuozzo", "losant")
    assert settings(DIALECTS="none").dialects == ()
    assert settings(DIALECTS="Losant, scalingo,losant").dialects == ("losant", "scalingo")
    for wrong in ("github", "losant,", "all,losant"):
        with pytest.raises(BadSetting, match="has to be all, none, or some of scalingo, cloudflare"):
            settings(DIALECTS=wrong)
