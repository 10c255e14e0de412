"""The READMEs as data: their links, code, commands and calls, for the tests that hold them against the code."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

TOP = Path(__file__).parent.parent
_ROOMS = ("shared", "services", "migrations", "tests")
_FENCED = re.compile(r"^```(\w*)\n(.*?)^```", re.MULTILINE | re.DOTALL)
_INDENTED = re.compile(r"(?<=\n\n)(?: {4}.*\n+)+")
_SPAN = re.compile(r"`([^`]+)`")
_LINK = re.compile(r"\[[^\]]+\]\(([^)\s]+)\)")
_COMMAND = re.compile(r"(?<![\w./-])counterfoil((?: +[^\s|&;)<>$…]+(?: *\$\([^)]*\))?)*)")


@dataclass(frozen=True)
class Readme:
    """One README.md of this repository."""

    path: Path

    @property
    def name(self) -> str:
        """Its path in the repository."""
        return str(self.path.relative_to(TOP))

    @cached_property
    def text(self) -> str:
        """All of it."""
        return self.path.read_text()

    @cached_property
    def prose(self) -> str:
        """All but its code blocks."""
        return _INDENTED.sub("\n", _FENCED.sub("\n", self.text))

    def blocks(self, *languages: str) -> list[str]:
        """Its fenced code blocks in these languages."""
        return [code for language, code in _FENCED.findall(self.text) if language in languages]

    @cached_property
    def spans(self) -> list[str]:
        """Its inline code; a line break inside is a space."""
        return [" ".join(span.split()) for span in _SPAN.findall(self.prose)]

    @cached_property
    def links(self) -> list[tuple[Path, str]]:
        """The file and the anchor that each of its links to this repository leads to."""
        found = []
        for target in _LINK.findall(self.prose):
            if "://" not in target:
                file, _, anchor = target.partition("#")
                found.append(((self.path.parent / file).resolve() if file else self.path, anchor))
        return found

    @cached_property
    def anchors(self) -> set[str]:
        """The anchors of its headings, as GitHub makes them."""
        headings = re.findall(r"^#+ (.+)$", _FENCED.sub("\n", self.text), re.MULTILINE)
        return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}

    def commands(self) -> Iterator[list[str]]:
        """The words of each `counterfoil …` in its code."""
        for code in (*self.spans, *self.blocks("sh", "console", "text"), *_INDENTED.findall(self.text)):
            for line in code.replace("\\\n", " ").splitlines():
                for written in _COMMAND.findall(line.partition(" # ")[0]):
                    yield written.split()


def readmes() -> list[Readme]:
    """Every README of the repository."""
    nested = (path for room in _ROOMS for path in sorted((TOP / room).rglob("README.md")))
    return [Readme(TOP / "README.md"), *map(Readme, nested)]
