"""The list of the vendors' APIs that this service can speak, and their addresses."""

from counterfoil.core.principal import Principal
from counterfoil.documents.dialects import DialectDocument, DialectList
from counterfoil.settings import Settings
from counterfoil_api.auth.conventions import OURS
from counterfoil_api.dialects.register import DIALECTS
from counterfoil_api.operations.api import Api
from counterfoil_api.operations.reading import Asker

api = Api("dialects", OURS)


@api.get("/v1/dialects")
async def list_dialects(settings: Settings, _: Asker[Principal]) -> DialectList:
    """List the vendors' APIs that this service can speak, and say which of them it does. It takes no scope."""
    url, names = settings.public_url, settings.dialects
    return DialectList(
        items=[
            DialectDocument(
                name=each.name,
                title=each.title,
                on=each.name in names,
                base_url=url + each.base,
                openapi=url + each.openapi,
            )
            for each in sorted(DIALECTS, key=lambda each: each.name)
        ]
    )
