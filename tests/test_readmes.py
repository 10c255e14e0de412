"""What any README says by name exists: files, links, commands, options, calls, errors, settings, metrics, Python."""

import ast
import inspect
import re
from functools import lru_cache
from pathlib import Path
from typing import Any

import pytest
from typer.core import TyperGroup
from typer.main import get_command

from counterfoil.cli.app import app
from counterfoil.client import Client
from counterfoil.core.builtin_scopes import KNOWN
from counterfoil.settings import VARIABLES
from counterfoil_api.application import routes
from counterfoil_api.dialects.register import DIALECTS, routes_of
from counterfoil_api.http.problems import KINDS
from readmes import TOP, Readme, readmes

READMES = readmes()
every_readme = pytest.mark.parametrize("readme", READMES, ids=lambda readme: readme.name)

_CALL = re.compile(r"(?:\b(GET|POST|PUT|PATCH|DELETE|ANY) )?(?<!\w)(/(?:v1|\.well-known)/[^\s?\"'…)]*)(…?)")
_FILE = re.compile(r"[\w.{}-]+(/[\w.{}-]+)*(\.(py|sql|ini|md|yaml|conf|jsonl|lock)|/)")
_SETTING = re.compile(r"[A-Z]{2,}(_[A-Z]+)+")


@lru_cache(maxsize=1)
def sources() -> str:
    """All code, tests included, in one text."""
    files = (path for room in ("shared", "services", "tests") for path in (TOP / room).rglob("*.py"))
    return "\n".join(path.read_text() for path in files)


@lru_cache(maxsize=1)
def files() -> set[str]:
    """Every file and folder of the rooms, each with a slash before it."""
    rooms = ("shared", "services", "migrations", "tests", ".ci")
    below = {
        path for room in rooms for path in (TOP / room, *(TOP / room).rglob("*")) if "__pycache__" not in path.parts
    }
    below |= set(TOP.glob("*.*"))
    return {f"/{path.relative_to(TOP)}{'/' if path.is_dir() else ''}" for path in below}


def is_operation(method: str, path: str, *, whole: bool) -> bool:
    """Whether the API has a call of this method on this path, or on one that begins with it."""
    wanted = re.escape(re.sub(r"\{[^}]*\}", "{}", path.rstrip("/"))).replace(r"\{\}", r"[^/]+")
    known = [(route.method, route.path) for dialect in DIALECTS for route in routes_of(dialect)]
    known += [(route.method, route.path) for route in routes()]
    return any(
        re.fullmatch(wanted, shown) or (not whole and re.match(wanted, shown)) or _fits(path, shown)
        for verb, shown in known
        if method in ("", "ANY", verb)
    )


def _fits(path: str, template: str) -> bool:
    return re.fullmatch(re.sub(r"\\\{[^}]*\\\}", "[^/]+", re.escape(template)), path) is not None


@lru_cache(maxsize=1)
def command_line() -> TyperGroup:
    found = get_command(app)
    assert isinstance(found, TyperGroup)
    return found


def unknown_in(words: list[str]) -> str | None:
    """The first word of a command line that the command line does not know."""
    command: Any = command_line()
    rest = list(words)
    while rest and isinstance(command, TyperGroup) and re.fullmatch(r"[a-z-]+", rest[0]) and rest[0][0] != "-":
        word = rest.pop(0)
        if word not in command.commands:
            return word
        command = command.commands[word]
    known = {option for parameter in command.params for option in (*parameter.opts, *parameter.secondary_opts)}
    stated = {word.partition("=")[0].strip("'\"") for word in rest if word.startswith("-") and word != "-"}
    return next(iter(sorted(stated - known - {"--help"})), None)


def all_options() -> set[str]:
    found: set[str] = set()
    waiting: list[Any] = [command_line()]
    while waiting:
        command = waiting.pop()
        found |= {option for parameter in command.params for option in (*parameter.opts, *parameter.secondary_opts)}
        waiting += getattr(command, "commands", {}).values()
    return found


def test_the_first_readme_is_short_and_leads_to_all_others() -> None:
    assert len(READMES[0].text.splitlines()) <= 250
    reached, waiting = set(), [READMES[0].path]
    by_path = {readme.path: readme for readme in READMES}
    while waiting:
        path = waiting.pop()
        if path in by_path and path not in reached:
            reached.add(path)
            waiting += [file for file, _ in by_path[path].links]
    assert reached == set(by_path)


@every_readme
def test_links_lead_somewhere(readme: Readme) -> None:
    for file, anchor in readme.links:
        assert file.exists(), f"{readme.name} leads to {file}"
        if anchor and not re.fullmatch(r"L\d+(-L\d+)?", anchor):
            assert anchor in Readme(file).anchors, f"{readme.name} leads to {file}#{anchor}"


@every_readme
def test_files_that_it_names_exist(readme: Readme) -> None:
    named = [span for span in readme.spans if _FILE.fullmatch(span) and "{" not in span]
    named = [span for span in named if not span.startswith((".counterfoil", "leaked/"))]
    assert [span for span in named if not any(file.endswith(f"/{span}") for file in files())] == []


@every_readme
def test_commands_and_options_that_it_shows_exist(readme: Readme) -> None:
    unknown = [(" ".join(words), word) for words in readme.commands() if (word := unknown_in(words))]
    assert unknown == []
    alone = {span.partition(" ")[0] for span in readme.spans if re.match(r"--[a-z]", span)}
    ours = {option for option in alone if f'"{option}"' not in sources()}
    assert ours - all_options() == set()


@every_readme
def test_calls_that_it_names_are_operations_of_the_api(readme: Readme) -> None:
    served = ("/.well-known/", "/v1/forward")  # mounted by themselves
    code = "\n".join((*readme.spans, *readme.blocks("sh", "console", "text", "yaml")))
    calls = [call for call in _CALL.findall(code) if not call[1].startswith(served)]
    assert [call for call in calls if not is_operation(call[0], call[1], whole=not call[2])] == []


@every_readme
def test_errors_that_it_names_have_that_status(readme: Readme) -> None:
    named = re.findall(r"\b([45]\d\d)((?:,? (?:or )?`[a-z]+(?:-[a-z]+)+`)+)", readme.prose)
    known = {(str(kind.status), kind.name) for kind in KINDS.values()}
    told = {(status, name) for status, names in named for name in re.findall(r"`([^`]+)`", names)}
    assert told - known == set()


@every_readme
def test_settings_and_metrics_that_it_names_exist(readme: Readme) -> None:
    names = {span.partition("=")[0] for span in readme.spans}
    assert {name for name in names if _SETTING.fullmatch(name) and name not in sources()} == set()
    metrics = {name.removesuffix("_total") for name in names if re.fullmatch(r"counterfoil_[a-z_]+", name)}
    assert {name for name in metrics if name not in sources()} == set()


@every_readme
def test_its_python_is_python_and_calls_what_the_client_has(readme: Readme) -> None:
    for code in readme.blocks("python"):
        tree = compile(code, readme.name, "exec", ast.PyCF_ALLOW_TOP_LEVEL_AWAIT | ast.PyCF_ONLY_AST)
        for node in ast.walk(tree):
            match node:
                case ast.Call(func=ast.Attribute(value=ast.Name(id="ledger"), attr=name), keywords=keywords):
                    parameters = inspect.signature(getattr(Client, name)).parameters
                    assert {keyword.arg for keyword in keywords} <= set(parameters), name


def test_the_path_of_a_command_is_as_long_as_the_guide_says() -> None:
    guide = Readme(TOP / "shared" / "counterfoil" / "README.md")
    section = guide.text.partition("## From `create_token` to COMMIT")[2].partition("\n## ")[0]
    rows = re.findall(r"^\| \[[^\]]+\]\(([^)]+)\) \| (.+?) \| (\d+) \|", section, re.MULTILINE)
    said = [(link, int(lines)) for link, _, lines in rows]
    assert said == [(link, lines_of(guide.path.parent / link, re.findall(r"\w+", names))) for link, names, _ in rows]
    assert f"{sum(lines for _, lines in said)} lines in all" in section
    assert sum(lines for _, lines in said) <= 300


def lines_of(file: Path, names: list[str]) -> int:
    found = {
        node.name: (node.end_lineno or 0) - node.lineno + 1
        for node in ast.walk(ast.parse(file.read_text()))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
    }
    return sum(found[name] for name in names)


def test_scopes_of_the_list_of_calls_exist() -> None:
    table = (TOP / "services" / "api" / "README.md").read_text().partition("\n## Calls\n")[2].partition("\n## ")[0]
    cells = [row.rpartition(" | ")[2] for row in table.splitlines() if row.startswith("| ")]
    scopes = [scope for cell in cells for scope in re.findall(r"`([^`]+)`", cell)]
    assert len(scopes) > 20
    assert [each for each in scopes if each not in KNOWN and not _begins_one(each)] == []


def _begins_one(scope: str) -> bool:
    return scope.endswith("…") and any(known.startswith(scope[:-1]) for known in KNOWN)


def test_the_settings_have_one_table() -> None:
    tables = [readme.name for readme in READMES if "| variable | default |" in readme.text]
    assert tables == ["services/README.md"]
    assert all(f"| `{variable.name}` |" in (TOP / tables[0]).read_text() for variable in VARIABLES)


def test_a_command_that_does_not_exist_would_be_noticed() -> None:
    assert unknown_in(["token", "create", "a", "--owner", "service:a"]) is None
    assert unknown_in(["token", "make"]) == "make"
    assert unknown_in(["token", "create", "--sesame"]) == "--sesame"
    assert is_operation("POST", "/v1/tokens/{any}/renew", whole=True)
    assert not is_operation("GET", "/v1/nothing", whole=False)
