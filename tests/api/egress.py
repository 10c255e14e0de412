"""The service's outgoing connections in tests: open to one issuer on this machine, with a resolver of the test."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from api.certificates import Authority
from api.service import settings_for
from counterfoil.uses.egress import Egress


@dataclass
class Names:
    """A resolver with a list of answers for each name; the last one stays. Records the look-ups."""

    answers: dict[str, list[list[str]]]
    requested: list[str] = field(default_factory=list)

    async def __call__(self, host: str, _port: int) -> Sequence[str]:
        self.requested.append(host)
        answers = self.answers[host]
        return answers.pop(0) if len(answers) > 1 else answers[0]


def egress(authority: Authority | None, *allowed: str, names: Names | None = None) -> Egress:
    more = {"EGRESS_CA_FILE": str(authority.file)} if authority else {}
    settings = settings_for("postgresql://a@b/c", EGRESS_ALLOWED=",".join(allowed), **more)
    return Egress(settings, resolve=names)
