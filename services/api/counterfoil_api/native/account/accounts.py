"""The caller's account: its policy, and the end of all its secrets."""

from msgspec import UNSET

from counterfoil.core.duration import seconds, spelt
from counterfoil.core.refusals import BadDuration, BadPolicy, ShutsYouOut
from counterfoil.core.subjects.account import Account, ChangeAccount, EndSecrets, Policy, checked
from counterfoil.core.subjects.subject import Command
from counterfoil.core.unit_of_work import Outcome
from counterfoil.documents.account import AccountChanges, AccountDocument, PolicyDocument, PolicyGiven
from counterfoil.documents.token_changes import Revocation
from counterfoil_api.auth.conventions import OURS
from counterfoil_api.auth.principals import Caller
from counterfoil_api.handling.reading import Reading, own_account
from counterfoil_api.handling.writing import Writing
from counterfoil_api.operations.api import Api
from counterfoil_api.operations.reading import Body, ClientAddress, IdempotencyKey, IfMatch
from counterfoil_api.operations.replies import Tagged
from counterfoil_api.operations.retries import Retry

api = Api("accounts", OURS)


@api.get("/v1/account", needs="account.read")
async def get_account(reading: Reading, caller: Caller) -> Tagged[AccountDocument]:
    """Read your account."""
    account = await own_account(reading, caller)
    return Tagged(account_document(account), account.revision)


@api.patch(
    "/v1/account",
    executes=(ChangeAccount,),
    needs="account.update",
    refusals=(ShutsYouOut,),
    example=AccountChanges(policy=PolicyGiven(max_lifetime="90d", default_lifetime="30d", networks=("192.0.2.0/24",))),
)
async def update_account(
    writing: Writing, caller: Caller, address: ClientAddress, *, body: Body[AccountChanges], if_match: IfMatch,
    key: IdempotencyKey,
) -> Tagged[AccountDocument]:  # fmt: skip
    """Change the account's name or its policy.

    Networks without your own address are refused, unless you set `shut_me_out`.
    """
    policy = UNSET if body.policy is UNSET else _policy(body.policy)
    command = ChangeAccount(
        account=caller.account, id=caller.account, by=caller, revisions=if_match, name=body.name, policy=policy
    )
    if policy is not UNSET and not body.shut_me_out and not checked(policy).admits(address):
        raise ShutsYouOut
    return await _changed(writing, command, key)


@api.post(
    "/v1/account/end-secrets",
    needs="account.end_secrets",
    example=Revocation(reason="The vault of the build cluster was copied."),
)
async def end_secrets(
    writing: Writing, caller: Caller, *, body: Body[Revocation], key: IdempotencyKey
) -> Tagged[AccountDocument]:
    """End every secret and every bearer token of the account at once, your own included.

    Tokens stay as they are, and get new secrets by rotation; users log in as before.
    """
    command = EndSecrets(account=caller.account, id=caller.account, by=caller, reason=body.reason)
    return await _changed(writing, command, key)


async def _changed(writing: Writing, command: Command, key: Retry | None) -> Tagged[AccountDocument]:
    document = await writing.reply(command, key, account_after, kind=AccountDocument, holds_secret=False)
    return Tagged(document, document.revision)


def account_after(outcome: Outcome) -> AccountDocument:
    return account_document(outcome.of(Account))


def account_document(account: Account) -> AccountDocument:
    policy = account.policy
    notices = None if policy.thresholds is None else tuple(spelt(threshold) for threshold in policy.thresholds)
    return AccountDocument(
        id=account.id, name=account.name, parent=account.parent, valid_after=account.valid_after,
        policy=PolicyDocument(
            max_lifetime=policy.max_lifetime, default_lifetime=policy.default_lifetime, notices=notices,
            networks=policy.networks, catalogue_closed=policy.catalogue_closed is True,
        ),
        created_at=account.created_at, updated_at=account.updated_at, revision=account.revision,
    )  # fmt: skip


def _policy(given: PolicyDocument) -> Policy:
    try:
        notices = None if given.notices is None else tuple(seconds(notice) for notice in given.notices)
    except BadDuration as refusal:
        raise BadPolicy(refusal.detail, field="notices") from None
    return Policy(
        max_lifetime=given.max_lifetime, default_lifetime=given.default_lifetime, thresholds=notices,
        networks=given.networks, catalogue_closed=given.catalogue_closed,
    )  # fmt: skip
