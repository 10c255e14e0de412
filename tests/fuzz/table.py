"""Every function of ours that reads foreign bytes, and how each is fuzzed."""

from fuzz.core import CORE
from fuzz.parser import Parser
from fuzz.web import WEB

PARSERS: dict[str, Parser] = {**CORE, **WEB}
