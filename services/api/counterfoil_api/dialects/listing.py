"""The list of the vendors' APIs that this service can speak, and their addresses."""

from counterfoil.core.principal import Principal
from counterfoil.documents.dialects import DialectDocument, DialectList
from counterfoil.settings import Settings
from counterfoil_api.auth.conventions import OURS
from counterfoil_api.dialects.register import DIALECTS
from counterfoil_api.operations.api import Api
from counterfoil_api.operations.reading import Caller

api = Api("dialects", OURS)


@api.get("/v1/dialects")
async def list_dialects(settings: Settings, _: Caller[Principal]) -> DialectList:
    """List the vendors' APIs, and which of them are switched on. This needs no scope."""
    return DialectList(
        items=[
            DialectDocument(
                name=each.name,
                title=each.title,
                on=each.name in settings.dialects,
                base_url=settings.public_url + each.base,
                openapi=settings.public_url + each.openapi,
            )
            for each in sorted(DIALECTS, key=lambda each: each.name)
        ]
    )
