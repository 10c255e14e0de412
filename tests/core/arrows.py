"""The rooms and the imports between them, read from the source without running it.

A room is a folder, named by the prefix of its modules. ORDER says which rooms a room may import: those before it in a
line, and what these may import themselves.
"""

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

CORE = "counterfoil.core"
ROOTS = ("shared", "services/api", "services/worker")
PACKAGES = ("counterfoil", "counterfoil_dev", "counterfoil_api", "counterfoil_worker")

ORDER = """
counterfoil.core ← counterfoil ← counterfoil.postgres ← counterfoil.door ← counterfoil.uses
counterfoil ← counterfoil.documents ← counterfoil.client ← counterfoil.uses
counterfoil.uses ← counterfoil_api.metrics ← counterfoil_api.http ← counterfoil_api.operations
counterfoil_api.operations ← counterfoil_api.auth ← counterfoil_api.limits ← counterfoil_api.handling
counterfoil_api.handling ← counterfoil_api.native ← counterfoil_api
counterfoil_api.handling ← counterfoil_api.dialects ← counterfoil_api
counterfoil_api.auth ← counterfoil_api.events ← counterfoil_api.handling
counterfoil.uses ← counterfoil_worker
counterfoil.uses ← counterfoil_dev
counterfoil_api ← counterfoil.cli
counterfoil_worker ← counterfoil.cli
"""
"""`counterfoil` and `counterfoil_api` as rooms are the modules beside the folders of these packages."""

PURE_STANDS_ON = frozenset({
    "__future__", "base64", "binascii", "bisect", "collections", "dataclasses", "datetime", "decimal", "email", "enum",
    "functools",
    "difflib", "hashlib", "hmac", "idna", "ipaddress", "itertools", "math", "msgspec", "re", "struct", "types",
    "typing", "unicodedata", "uuid", "zlib",
})  # fmt: skip
CLOCKS = frozenset({"now", "utcnow", "today"})
_ALL_SERVERS = frozenset({"asyncpg", "aiohttp", "dramatiq", "redis"})
SERVERS = {
    "counterfoil.core": _ALL_SERVERS,
    "counterfoil": _ALL_SERVERS,
    "counterfoil.documents": _ALL_SERVERS,
    "counterfoil.postgres": _ALL_SERVERS - {"asyncpg"},
}

# Matches statements, not words: the door uses `begin` and `commit`, and "update" is also an English verb.
SQL = re.compile(
    r"""\s*( select\s+([\w.*$:(),\s]+\s+from\b|\d|\w+\() | insert\s+into\s+\w | update\s+\w+(\s+\w+)?\s+set\b
    | delete\s+from\s+\w | with\s+\w+\s+as\s+(materialized\s+)?\( | truncate\s+(table\s+)?\w+\s*(;|$) | lock\s+table\b
    | (create|alter|drop)\s+(table|index|role|database|function|trigger|sequence|view|schema)\b )""",
    re.IGNORECASE | re.VERBOSE,
)


@dataclass(frozen=True)
class Module:
    name: str
    package: str
    tree: ast.Module

    @property
    def room(self) -> str:
        """The longest name of a room that this module's name begins with."""
        return max((room for room in below() if f"{self.name}.".startswith(f"{room}.")), key=len)


@cache
def below() -> dict[str, frozenset[str]]:
    """Each room with all rooms that it may import."""
    found: dict[str, set[str]] = {}
    for line in ORDER.split("\n"):
        rooms = [room.strip() for room in line.split("←") if room.strip()]
        for at, room in enumerate(rooms):
            found.setdefault(room, set()).update(rooms[:at])
    while any(found[other] - rooms for rooms in found.values() for other in rooms):
        for reached in found.values():
            reached.update(*(found[other] for other in reached))
    return {room: frozenset(others) for room, others in found.items()}


def modules(root: Path) -> dict[str, Module]:
    found = {}
    for base in (root / name for name in ROOTS):
        for path in sorted(file for package in PACKAGES for file in (base / package).rglob("*.py")):
            parts = path.relative_to(base).with_suffix("").parts
            package = ".".join(parts[:-1])
            name = package if parts[-1] == "__init__" else ".".join(parts)
            found[name] = Module(name, package, _parsed(path.read_text(encoding="utf-8")))
    return found


@cache
def _parsed(text: str) -> ast.Module:
    return ast.parse(text)


def imports(module: Module, known: dict[str, Module]) -> Iterator[str]:
    for node in ast.walk(module.tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            above = module.package.split(".")[: len(module.package.split(".")) - node.level + 1] if node.level else []
            source = ".".join([*above, *filter(None, [node.module])])
            yield from (f"{source}.{a.name}" if f"{source}.{a.name}" in known else source for a in node.names)


def turned(root: Path) -> list[str]:
    """Every import of a higher room, import cycle, clock in the pure core and SQL statement outside postgres/."""
    known = modules(root)
    return [
        f"{module.name} {complaint}"
        for module in known.values()
        for complaint in (*_arrows(module, known), *_impurities(module), *_statements(module))
    ] + [f"{' → '.join(circle)} is a circle" for circle in circles(known)]


def _arrows(module: Module, known: dict[str, Module]) -> Iterator[str]:
    for target in imports(module, known):
        top = target.partition(".")[0]
        if top in SERVERS.get(module.room, ()):
            yield f"({module.room}) imports {target}"
        if module.room == CORE and top not in {*PURE_STANDS_ON, "counterfoil", *_drawn_by(module)}:
            yield f"({CORE}) imports {target}"
        if target in known and known[target].room not in {module.room, *below()[module.room]}:
            yield f"({module.room}) imports {target} ({known[target].room})"


def circles(known: dict[str, Module]) -> list[list[str]]:
    """Files that import each other directly or indirectly: one shortest cycle for each file that has one."""
    graph = {name: {*imports(module, known)} & known.keys() - {name} for name, module in known.items()}
    found = {frozenset(way): way for name in graph if (way := _way_around(name, graph))}
    return list(found.values())


def _way_around(start: str, graph: dict[str, set[str]]) -> list[str]:
    ways, seen = [[start]], {start}
    for way in ways:
        for target in sorted(graph[way[-1]]):
            if target == start:
                return way
            if target not in seen:
                seen.add(target)
                ways.append([*way, target])
    return []


def _drawn_by(module: Module) -> set[str]:
    return {"secrets"} if module.name == "counterfoil.core.secret" else set()


def _impurities(module: Module) -> Iterator[str]:
    if module.room == CORE:
        called = {
            node.func.attr
            for node in ast.walk(module.tree)
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute)
        }
        yield from (f"({CORE}) asks the clock: {clock}()" for clock in called & CLOCKS)


def _statements(module: Module) -> Iterator[str]:
    if module.room == "counterfoil.postgres" or module.name.startswith("counterfoil_dev"):  # creates the first roles
        return
    prose = {id(node.value) for node in ast.walk(module.tree) if isinstance(node, ast.Expr)}
    for node in ast.walk(module.tree):
        if (
            isinstance(node, ast.Constant)
            and isinstance(node.value, str)
            and id(node) not in prose
            and SQL.match(node.value)
        ):
            yield f"speaks SQL: {' '.join(node.value.split())[:60]}"
