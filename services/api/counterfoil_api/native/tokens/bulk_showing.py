"""Documents of plans and bulk revocations."""

from counterfoil.core.subjects.bulk_revocation import BulkRevocation
from counterfoil.documents.bulk_revocations import BulkRevocationDocument, OwnerPlanned, PlanDocument, Used
from counterfoil.documents.owners import OwnerDocument
from counterfoil.documents.tokens import TokenPlanned
from counterfoil.postgres.bulk_revocations import Progress
from counterfoil.postgres.selection import Look
from counterfoil_api.handling.actors import bare


def plan_document(found: Look) -> PlanDocument:
    """Return the plan of what a filter found."""
    return PlanDocument(
        plan=found.digest.hex(),
        tokens=found.tokens,
        left_alone=found.left_alone,
        used=Used(hour=found.used_in_hour, day=found.used_in_day, week=found.used_in_week, never=found.never_used),
        includes_yourself=found.includes,
        owners=[
            OwnerPlanned(owner=OwnerDocument(each.type, each.id), tokens=each.tokens, used_in_week=each.used_in_week)
            for each in found.owners
        ],
        used_last=sample(found),
    )


def sample(found: Look) -> list[TokenPlanned]:
    """Return at most twenty of the tokens, the last used ones."""
    return [
        TokenPlanned(
            id=each.id, number=each.number, name=each.name, owner=OwnerDocument(each.owner_type, each.owner_id),
            last_used_at=each.last_used_at,
        )
        for each in found.used_last
    ]  # fmt: skip


def bulk_revocation_document(revocation: BulkRevocation, far: Progress) -> BulkRevocationDocument:
    return BulkRevocationDocument(
        id=revocation.id,
        status=revocation.status,
        reason=revocation.reason,
        filter=revocation.filter,
        plan=revocation.plan,
        with_children=revocation.children is not None,
        total=revocation.total,
        found=0 if revocation.children is None else max(0, far.total - revocation.total),
        done=far.done,
        revoked=far.revoked,
        already=far.done - far.revoked - far.failed,
        failed=far.failed,
        some_failed=list(far.some_failed),
        per_second=_rate(revocation, far),
        created_at=revocation.created_at,
        created_by=bare(revocation.creator),
        started_at=revocation.started_at,
        ended_at=revocation.ended_at,
        revision=revocation.revision,
    )


def _rate(revocation: BulkRevocation, far: Progress) -> float | None:
    if revocation.started_at is None:
        return None
    seconds = ((revocation.ended_at or far.at) - revocation.started_at).total_seconds()
    return round(far.done / seconds, 1) if seconds > 0 else None
