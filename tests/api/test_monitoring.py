"""The alerting rules and the dashboard use only metrics and labels that the running service exports."""

import json
import re
from base64 import urlsafe_b64encode
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any

import asyncpg
import promql_parser as promql
import pytest
import yaml
from prometheus_client.parser import text_string_to_metric_families

from api.oauth import EXCHANGE, JWT, TOKEN, anybody
from api.service import Caller
from counterfoil.settings import Settings
from counterfoil_api.http.problems import KINDS
from postgres.sealing import seal_all

FOLDER = Path(__file__).parents[2] / "services" / "monitoring"
OF_PROMETHEUS = {"up"}
"""Metrics of Prometheus itself, and labels that it adds to every sample."""
LABELS_OF_PROMETHEUS = {"job", "instance"}
LABELS_IN_TEXT = re.compile(r"\$labels\.(\w+)|\{\{(\w+)\}\}")

Exported = Mapping[str, Mapping[str, frozenset[str]]]
"""The labels of each exported sample, each with the values that it had."""


@cache
def rules() -> list[dict[str, Any]]:
    (group,) = yaml.safe_load((FOLDER / "alerts.yml").read_text())["groups"]
    return list(group["rules"])


@cache
def panels() -> list[dict[str, Any]]:
    return list(json.loads((FOLDER / "dashboard.json").read_text())["panels"])


def uses() -> Iterator[tuple[str, promql.Expr, set[str]]]:
    """What each rule and panel is called, what it asks for, and the labels that its texts name."""
    for rule in rules():
        yield rule["alert"], promql.parse(rule["expr"]), _labels_in(str(rule["annotations"]))
    for panel in panels():
        for target in panel.get("targets", []):
            # Grafana puts the interval in.
            expression = target["expr"].replace("$__rate_interval", "5m")
            yield panel["title"], promql.parse(expression), _labels_in(target["legendFormat"])


def _labels_in(text: str) -> set[str]:
    return {one or other for one, other in LABELS_IN_TEXT.findall(text)}


def nodes(expression: promql.Expr) -> list[Any]:
    found: list[Any] = []
    promql.walk(expression, found.append)
    return found


def selectors(expression: promql.Expr) -> list[Any]:
    return [node for node in nodes(expression) if isinstance(node, promql.VectorSelector)]


def grouping(expression: promql.Expr) -> set[str]:
    """The labels that an expression groups by, or matches two sides on."""
    named: set[str] = set()
    for node in nodes(expression):
        if isinstance(node, promql.AggregateExpr) and node.modifier is not None:
            named |= set(node.modifier.labels)
        if isinstance(node, promql.BinaryExpr) and node.modifier is not None and node.modifier.matching is not None:
            named |= set(node.modifier.matching.labels)
    return named


@pytest.fixture
async def exported(admin: Caller, api_settings: Settings) -> Exported:
    """What /metrics exports after something of every kind has happened."""
    await admin.issue(lifetime="3d")
    assert (await admin.with_token("cfl_service_wrong").get("/v1/tokens")).status == 401
    await _fetch_the_keys_of_a_silent_issuer(admin)
    await _end_a_stream(admin, api_settings)
    await seal_all(api_settings.database_url)
    connection = await asyncpg.connect(api_settings.database_url)
    try:
        await connection.execute("insert into follower (name, position) values ('one', 0)")
        text = (await admin.get("/metrics")).body.decode()
    finally:
        await connection.execute("delete from follower")
        await connection.close()
    found: dict[str, dict[str, frozenset[str]]] = {}
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            labels = found.setdefault(sample.name, {})
            for label, value in sample.labels.items():
                labels[label] = labels.get(label, frozenset()) | {value}
    return found


async def _fetch_the_keys_of_a_silent_issuer(admin: Caller) -> None:
    issuer = "https://issuer.invalid"
    trust = {"issuer": issuer, "audience": "a", "claims": {"sub": ["a"]}}
    token = (await admin.issue(scopes=["a.b"], trust=trust))["token"]
    parts = [{"alg": "ES256", "kid": "k"}, {"iss": issuer, "aud": "a", "sub": "a", "exp": 2**33, "iat": 1}]
    jwt = ".".join(urlsafe_b64encode(json.dumps(part).encode()).decode().rstrip("=") for part in (*parts, "s" * 64))
    answer = await anybody(admin).form(
        TOKEN, grant_type=EXCHANGE, client_id=token["id"], subject_token=jwt, subject_token_type=JWT
    )
    assert answer.status == 503, answer.body


async def _end_a_stream(admin: Caller, settings: Settings) -> None:
    await seal_all(settings.database_url)
    headers = {"Authorization": admin.credentials, "Accept": "application/x-ndjson"}
    async with admin.session.get("/v1/events?follow=true", headers=headers) as answer:
        assert answer.status == 200
        await answer.content.readline()
        answer.close()


def unknown_in(expression: promql.Expr, in_texts: set[str], exported: Exported) -> set[str]:
    """Return the metrics that are not exported, the labels that they lack, and labels in texts that are not kept."""
    ours = [each for each in selectors(expression) if each.name not in OF_PROMETHEUS]
    unknown = {each.name for each in ours if each.name not in exported}
    known = set(LABELS_OF_PROMETHEUS)
    for each in ours:
        labels = exported.get(each.name, {}).keys() | LABELS_OF_PROMETHEUS
        unknown |= {matcher.name for matcher in each.matchers.matchers} - labels
        known |= labels
    kept = grouping(expression)
    return unknown | (kept - known) | (in_texts - kept - LABELS_OF_PROMETHEUS)


async def test_every_metric_and_label_that_they_use_is_exported(exported: Exported) -> None:
    for name, expression, in_texts in uses():
        assert unknown_in(expression, in_texts, exported) == set(), name
    wrong = 'sum by (rout) (rate(counterfoil_request_second_count[5m])) / sum(counterfoil_refusals_total{proble="x"})'
    expected = {"rout", "counterfoil_request_second_count", "proble", "instanc"}
    assert unknown_in(promql.parse(wrong), {"instanc"}, exported) == expected, "mistakes are noticed"


async def test_every_value_that_they_ask_for_can_occur(exported: Exported) -> None:
    vocabulary = {
        "problem": {kind.name for kind in KINDS.values()},
        "kind": {kind.name for kind in KINDS.values()}
        | {"malformed", "unknown", "unknown-limited", "login-failed", "login-limited"},
        "outcome": {"fetched"},
    }
    checked = 0
    for name, expression, _ in uses():
        for each in selectors(expression):
            for matcher in each.matchers.matchers:
                if matcher.name in {*LABELS_OF_PROMETHEUS, "status"}:
                    continue
                possible = vocabulary.get(matcher.name) or exported[each.name][matcher.name]
                assert set(matcher.value.split("|")) <= possible, (name, matcher.name)
                checked += 1
    assert checked > 5


async def test_the_dashboard_shows_every_metric_of_the_service(exported: Exported) -> None:
    shown = {
        each.name
        for panel in panels()
        for target in panel.get("targets", [])
        for each in selectors(promql.parse(target["expr"].replace("$__rate_interval", "5m")))
    }
    endings = ("_bucket", "_count", "_sum", "_created", "_total")

    def bare(name: str) -> str:
        return next((name.removesuffix(end) for end in endings if name.endswith(end)), name)

    ours = {bare(name) for name in exported if name.startswith("counterfoil_")}
    assert ours - {bare(name) for name in shown} == set()


def test_every_rule_says_how_urgent_it_is_and_the_readme_says_what_to_do() -> None:
    for rule in rules():
        assert rule["labels"]["severity"] in {"critical", "warning"}, rule["alert"]
        assert rule["annotations"]["summary"].endswith("."), rule["alert"]
    rows = re.findall(r"^\| `(\w+)` \| (\w+) \| .+ \|$", (FOLDER / "README.md").read_text(), re.MULTILINE)
    assert rows == [(rule["alert"], rule["labels"]["severity"]) for rule in rules()]


def test_panels_do_not_overlap_and_have_ids_of_their_own() -> None:
    ids = [panel["id"] for panel in panels()]
    assert len(ids) == len(set(ids))
    taken: set[tuple[int, int]] = set()
    for panel in panels():
        at = panel["gridPos"]
        cells = {(x, y) for x in range(at["x"], at["x"] + at["w"]) for y in range(at["y"], at["y"] + at["h"])}
        assert max(x for x, _ in cells) < 24, panel["title"]
        assert not cells & taken, panel["title"]
        taken |= cells
