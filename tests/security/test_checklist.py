"""The checklist covers every line and names existing tests."""

import ast
import re
from functools import cache
from pathlib import Path

ROOM = Path(__file__).parent
ROOT = ROOM.parent.parent
ROWS = re.findall(r"^\| ([A-L])(\d+) \| .+? \| (.+) \|$", (ROOM / "CHECKLIST.md").read_text(), re.MULTILINE)
NAMED = re.compile(r"(tests/[\w/]+\.py)::(test_\w+)")
OTHERS = ("test_checklist.py", "test_owner_quotas.py", "test_quotas.py", "test_token_bounds.py")
"""Files with tests that hold promises beyond the checklist."""


@cache
def defined_in(path: str) -> frozenset[str]:
    tree = ast.parse((ROOT / path).read_text())
    return frozenset(node.name for node in tree.body if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef))


def test_every_line_is_covered_once_and_in_order() -> None:
    assert [int(number) for _, number, _ in ROWS] == list(range(1, 53))


def test_a_line_names_tests_or_gives_a_reason() -> None:
    reasons = ("not yet", "does not apply")
    assert [number for _, number, held in ROWS if not NAMED.search(held) and not held.startswith(reasons)] == []


def test_every_named_test_exists() -> None:
    named = [found for _, _, held in ROWS for found in NAMED.findall(held)]
    assert len(named) > 50
    assert [f"{path}::{test}" for path, test in named if test not in defined_in(path)] == []


def test_every_test_of_this_folder_is_named_in_a_line() -> None:
    named = {found for _, _, held in ROWS for found in NAMED.findall(held)}
    paths = [f"tests/security/{path.name}" for path in ROOM.glob("test_*.py") if path.name not in OTHERS]
    tests = {(path, test) for path in paths for test in defined_in(path) if test.startswith("test_")}
    assert tests - named == set()
