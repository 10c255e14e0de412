"""Who imports whom, and who speaks SQL: the rooms as the source says they are, read without running any of it."""

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOTS = ("shared", "services/api", "services/worker")
PACKAGES = ("counterfoil", "counterfoil_dev", "counterfoil_api", "counterfoil_worker")

ROOMS = (
    ("counterfoil.core", "core"),
    ("counterfoil.postgres", "postgres"),
    ("counterfoil.door", "door"),
    ("counterfoil.uses", "uses"),
    ("counterfoil.client", "uses"),
    ("counterfoil.cli", "edge"),
    ("counterfoil.", "settings"),
    ("counterfoil", "settings"),
    ("counterfoil_", "edge"),
)
"""The floor of each folder: the first prefix that fits. Modules beside the folders only read the environment."""
FLOORS = ("core", "settings", "postgres", "door", "uses", "edge")

PURE_STANDS_ON = frozenset({
    "__future__", "base64", "binascii", "bisect", "collections", "dataclasses", "datetime", "decimal", "enum",
    "functools",
    "difflib", "hashlib", "hmac", "idna", "ipaddress", "itertools", "math", "msgspec", "re", "struct", "types",
    "typing", "unicodedata", "uuid", "zlib",
})  # fmt: skip
CLOCKS = frozenset({"now", "utcnow", "today"})
_ALL_SERVERS = frozenset({"asyncpg", "aiohttp", "dramatiq", "redis"})
SERVERS = {"core": _ALL_SERVERS, "settings": _ALL_SERVERS, "postgres": _ALL_SERVERS - {"asyncpg"}}

# A statement, not a word: `begin` and `commit` are the door's to say, "update" is also a verb of ours.
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
    def floor(self) -> str:
        """Where it stands."""
        return next(floor for prefix, floor in ROOMS if _is_in(self.name, prefix))


def _is_in(name: str, prefix: str) -> bool:
    return name.startswith(prefix) if prefix.endswith((".", "_")) else name == prefix or name.startswith(f"{prefix}.")


def modules(root: Path) -> dict[str, Module]:
    found = {}
    for base in (root / name for name in ROOTS):
        for path in sorted(file for package in PACKAGES for file in (base / package).rglob("*.py")):
            parts = path.relative_to(base).with_suffix("").parts
            package = ".".join(parts[:-1])
            name = package if parts[-1] == "__init__" else ".".join(parts)
            found[name] = Module(name, package, ast.parse(path.read_text(encoding="utf-8")))
    return found


def imports(module: Module, known: dict[str, Module]) -> Iterator[str]:
    for node in ast.walk(module.tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            above = module.package.split(".")[: len(module.package.split(".")) - node.level + 1] if node.level else []
            source = ".".join([*above, *filter(None, [node.module])])
            yield from (f"{source}.{a.name}" if f"{source}.{a.name}" in known else source for a in node.names)


def turned(root: Path) -> list[str]:
    """Every arrow that points the wrong way, every clock in the pure core, every statement outside postgres/."""
    known = modules(root)
    return [
        f"{module.name} {complaint}"
        for module in known.values()
        for complaint in (*_arrows(module, known), *_impurities(module), *_statements(module))
    ]


def _arrows(module: Module, known: dict[str, Module]) -> Iterator[str]:
    for target in imports(module, known):
        top = target.partition(".")[0]
        if top in SERVERS.get(module.floor, ()):
            yield f"is {module.floor} and imports {target}"
        if module.floor == "core" and top not in {*PURE_STANDS_ON, "counterfoil", *_drawn_by(module)}:
            yield f"is core and imports {target}"
        if target in known and FLOORS.index(known[target].floor) > FLOORS.index(module.floor):
            yield f"({module.floor}) imports {target} ({known[target].floor})"
        if target in known and _edge(target) not in {None, _edge(module.name)} and _edge(module.name) != "cli":
            yield f"imports {target}, which is another edge"


def _edge(name: str) -> str | None:
    top, _, rest = name.partition(".")
    return top if top != "counterfoil" else "cli" if rest.partition(".")[0] == "cli" else None


def _drawn_by(module: Module) -> set[str]:
    return {"secrets"} if module.name == "counterfoil.core.secret" else set()


def _impurities(module: Module) -> Iterator[str]:
    if module.floor == "core":
        called = {
            node.func.attr
            for node in ast.walk(module.tree)
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute)
        }
        yield from (f"is core and asks the clock: {clock}()" for clock in called & CLOCKS)


def _statements(module: Module) -> Iterator[str]:
    if module.floor == "postgres" or module.name.startswith("counterfoil_dev"):  # which makes the very first roles
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
