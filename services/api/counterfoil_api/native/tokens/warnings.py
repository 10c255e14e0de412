"""Warnings in replies: the request succeeded, but may be a mistake."""

from msgspec.structs import replace

from counterfoil.documents.tokens import TokenDocument, WarningDocument
from counterfoil_api.handling.described import Undescribed


def warned(document: TokenDocument, foreign: Undescribed) -> TokenDocument:
    warnings = []
    if document.expires_at is None and document.lifetime is None:
        detail = "No lifetime was given and the account's policy has none: this token never expires. Renew it with one."
        warnings.append(WarningDocument(code="never-expires", detail=detail))
    if foreign.scopes and foreign.catalogue:
        shown = ", ".join(foreign.scopes[:5])
        detail = f"The account's catalogue of scopes does not describe {shown}; check the spelling."
        warnings.append(WarningDocument(code="scopes-undescribed", detail=detail))
    return replace(document, warnings=tuple(warnings))
