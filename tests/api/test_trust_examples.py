"""The README's examples of CI without stored secrets, executed against an issuer of the tests."""

import asyncio
import json
import os
import re
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml
from aiohttp import ClientSession, web

from api.certificates import Authority
from api.oidc_issuer import oidc_issuer
from api.service import Caller, founded, served, settings_for
from api.trusts import Trusting
from cli.shell import Shell, loaded
from counterfoil_api.application import make_app
from counterfoil_dev.postgres import Database

TOP = Path(__file__).parents[2]
VENV = TOP / ".venv" / "bin"
README = TOP / "services" / "api" / "counterfoil_api" / "auth" / "README.md"
SECTION = README.read_text().partition("## CI without stored secrets")[2].partition("\n## ")[0]
[COMMAND] = re.findall(r"^```sh\n(.*?)^```", SECTION, re.MULTILINE | re.DOTALL)
GITHUB, GITLAB = (
    yaml.safe_load(block) for block in re.findall(r"^```yaml\n(.*?)^```", SECTION, re.MULTILINE | re.DOTALL)
)
ISSUERS = r"https://(token\.actions\.githubusercontent\.com|gitlab\.com)"


@dataclass(frozen=True)
class Job:
    """A CI job: its platform, the ledger, and the environment of its commands."""

    trusting: Trusting
    url: str
    environment: dict[str, str]

    async def run(self, lines: str, **more: str) -> str:
        """The output of these commands."""
        process = await asyncio.create_subprocess_exec(
            "bash", "-euo", "pipefail", "-c", lines, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
            env={"PATH": f"{VENV}:{os.environ['PATH']}", "LEDGER": self.url, **self.environment, **more},
        )  # fmt: skip
        out, err = await process.communicate()
        assert process.returncode == 0, (out, err)
        return out.decode()

    async def token(self, options: str) -> str:
        """The id of a token made by the README's command, for this platform and ledger."""
        line = options.replace("https://tokens.example.org", self.url)
        return await self.run(re.sub(ISSUERS, self.trusting.issuer.url, line) + 'echo "$TOKEN_ID"')


@pytest.fixture
async def job(database: Database, tmp_path: Path) -> AsyncIterator[Job]:
    authority = Authority.at(tmp_path)
    async with oidc_issuer(authority, tmp_path) as issuer:
        allowed = issuer.url.removeprefix("https://")
        settings = settings_for(database.app_url, EGRESS_ALLOWED=allowed, EGRESS_CA_FILE=str(authority.file))
        admin = (await founded(settings, "job", tmp_path))["admin_token"]
        async with served(make_app(settings)) as url, ClientSession(url) as session:
            environment = {
                "COUNTERFOIL_URL": url, "COUNTERFOIL_TOKEN": admin, "CURL_CA_BUNDLE": str(authority.file),
            }  # fmt: skip
            yield Job(Trusting(Caller(session, f"Bearer {admin}"), issuer), url, environment)


def shown(printed: str) -> Any:
    """The token shown by the last line of a job."""
    return json.loads(printed.splitlines()[-1])


async def test_the_example_for_github_actions_works_once_with_each_jwt(job: Job) -> None:
    token = (await job.token(COMMAND)).strip()
    made = (await job.trusting.admin.get(f"/v1/tokens/{token}")).json
    assert made["trust"] == {
        "issuer": job.trusting.issuer.url, "audience": job.url, "once": True,
        "claims": {"repository": ["acme/app"], "ref": ["refs/heads/main"]},
    }  # fmt: skip
    assert GITHUB["permissions"] == {"id-token": "write"}
    [step] = GITHUB["steps"]
    job.trusting.issuer.replies["/token"] = web.json_response({"value": job.trusting.issuer.jwt(aud=job.url)})
    environment = {
        "ACTIONS_ID_TOKEN_REQUEST_TOKEN": "x", "TOKEN_ID": token,
        "ACTIONS_ID_TOKEN_REQUEST_URL": f"{job.trusting.issuer.url}/token?api-version=2.0",
    }  # fmt: skip
    printed = await job.run(step["run"], **environment)
    assert shown(printed)["id"] == token
    assert printed.startswith("::add-mask::eyJ")
    with pytest.raises(AssertionError, match="accepted before"):
        await job.run(step["run"], **environment)


async def test_the_example_for_gitlab_works(job: Job) -> None:
    options = re.search(r"\(`(--trust-issuer .*?)`\)", SECTION, re.DOTALL)
    assert options is not None
    audience = GITLAB["deploy"]["id_tokens"]["JWT"]["aud"]
    words = " ".join(options[1].split())
    token = (
        await job.token(f"TOKEN_ID=$(counterfoil token create x -q {words} --trust-audience {audience})\n")
    ).strip()
    lines = "\n".join(GITLAB["deploy"]["script"])
    jwt = job.trusting.issuer.jwt(aud=job.url, project_path="acme/app", ref_protected="true")
    assert shown(await job.run(lines, TOKEN_ID=token, JWT=jwt))["id"] == token
    with pytest.raises(AssertionError, match="conditions on ref_protected"):
        await job.run(lines, TOKEN_ID=token, JWT=job.trusting.issuer.jwt(aud=job.url, project_path="acme/app"))


async def test_the_conditions_for_kubernetes_match_a_pod(job: Job) -> None:
    words = " ".join(re.findall(r"--trust-claim kubernetes\.io\.\S+=\w+", SECTION))
    trust = f"--trust-issuer https://gitlab.com --trust-audience {job.url} {words}"
    token = (await job.token(f"TOKEN_ID=$(counterfoil token create pod -q {trust})\n")).strip()
    pod: dict[str, Any] = {"kubernetes.io": {"namespace": "ci", "serviceaccount": {"name": "deployer", "uid": "7"}}}
    await job.trusting.bearer(token, job.trusting.issuer.jwt(None, aud=[job.url], **pod))
    pod["kubernetes.io"]["serviceaccount"]["name"] = "default"
    refusal = await job.trusting.refused(token, job.trusting.issuer.jwt(None, aud=[job.url], **pod))
    assert "conditions on kubernetes.io.serviceaccount.name" in refusal


async def test_the_command_line_shows_changes_and_clones_a_trust(job: Job, tmp_path: Path) -> None:
    token = (await job.token(COMMAND)).strip()
    stated = ("--trust-issuer", job.trusting.issuer.url, "--trust-audience", job.url, "--trust-claim")
    with loaded() as command:
        shell = Shell(command, tmp_path, job.environment)
        shown_there = (await shell("token", "show", token)).out
        assert f"{job.trusting.issuer.url} for {job.url}, each JWT once by token" in " ".join(shown_there.split())
        assert "ref=refs/heads/main repository=acme/app" in shown_there
        assert "secret begins" not in shown_there
        changed = await shell("token", "update", token, *stated, "ref=a", *stated, "ref=refs/tags/*", "--json")
        assert json.loads(changed.out)["trust"]["claims"] == {"ref": ["a", "refs/tags/*"]}
        copy = json.loads((await shell("token", "clone", token, "--name", "copy", "--json")).out)
        assert (copy["token"]["trust"]["claims"], "secret" in copy) == ({"ref": ["a", "refs/tags/*"]}, False)
        created = await shell("token", "create", "other", *stated, "sub=x")
        assert "It has no secret: exchange a JWT at /v1/oauth/token" in created.out + created.err
        for words, why in (
            (("create", "other", "--once"), "takes all three"),
            (("create", "other", *stated, "ref"), "no CLAIM=GLOB"),
            (("create", "other", *stated, "sub=*"), "everything fits"),
            (("rotate", token, "--grace", "0s"), "no secret to rotate"),
        ):
            refused = await shell("token", *words)
            assert (refused.code > 0, why in " ".join(refused.err.split())) == (True, True), refused.err
        found = await shell("token", "list", "--issuer", job.trusting.issuer.url, "--json")
        assert len(found.out.splitlines()) == 3
