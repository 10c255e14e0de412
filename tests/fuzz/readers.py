"""Our functions that read foreign bytes, found in the source by the functions that they call."""

import ast
from collections.abc import Iterator
from pathlib import Path
from typing import Final

TOP: Final = Path(__file__).parents[2]
ROOMS: Final = ("shared/counterfoil", "services/api/counterfoil_api", "services/worker/counterfoil_worker")
METHODS: Final = frozenset({
    "fullmatch", "match", "search", "finditer", "findall", "b64decode", "b32decode", "urlsafe_b64decode", "fromhex",
    "unhexlify", "fromisoformat", "strptime", "ip_address", "ip_network", "ip_interface", "convert", "loads",
    "deserialize_compact", "raw_decode",
})  # fmt: skip
FUNCTIONS: Final = frozenset({
    "UUID", "int", "float", "Decimal", "unquote", "unquote_plus", "urlsplit", "urlparse", "parse_qs", "parse_qsl",
    "parsedate_to_datetime",
})  # fmt: skip


def readers() -> Iterator[str]:
    """Every such function as `module:name`. SQL's own room is left out: bytes from Postgres are our own."""
    for room in ROOMS:
        top = TOP / room
        for path in sorted(top.rglob("*.py")):
            inside = path.relative_to(top.parent)
            if "postgres" not in inside.parts:
                module = ".".join(inside.with_suffix("").parts).removesuffix(".__init__")
                yield from (f"{module}:{name}" for name in _named(ast.parse(path.read_text(encoding="utf-8")), ""))


def _named(tree: ast.AST, within: str) -> Iterator[str]:
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.ClassDef):
            yield from _named(node, f"{within}{node.name}.")
        elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and any(map(_reads, ast.walk(node))):
            yield f"{within}{node.name}"


def _reads(node: ast.AST) -> bool:
    if not isinstance(node, ast.Call) or all(isinstance(given, ast.Constant) for given in node.args):
        return False
    match node.func:
        case ast.Attribute(attr="decode", value=of):
            # Our own freshly encoded bytes are decoded without arguments; a decoder of foreign bytes gets an argument.
            return not isinstance(of, ast.Call) and isinstance(node.args[0], ast.Name | ast.Attribute | ast.Call)
        case ast.Attribute(attr=name):
            return name in METHODS
        case ast.Name(id="int" | "float"):
            return isinstance(node.args[0], ast.Name | ast.Subscript)  # with numbers it is rounding
        case ast.Name(id=name):
            return name in FUNCTIONS
    return False
