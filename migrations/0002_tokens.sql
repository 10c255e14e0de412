-- The present state of each token, so that no read and no decision replays its events.

create table token (
    account_id uuid not null,
    token_id uuid not null,
    number bigint not null,
    owner_type text not null,
    owner_id text not null,
    creator_kind text not null,
    creator_id uuid not null,
    name text,
    description text not null,
    scopes text not null,
    metadata text not null,
    status text not null,
    suspended_by_owner boolean not null default false,
    lifetime text,
    lifetime_start timestamptz not null,
    expires_at timestamptz,
    thresholds text not null,
    announced integer,
    next_due_at timestamptz,
    created_at timestamptz not null,
    updated_at timestamptz not null,
    last_exchanged_at timestamptz,
    generation integer not null,
    previous_until timestamptz,
    epoch integer not null default 0,
    previous_epoch integer not null default 0,
    hint text not null,
    dialect text not null,
    cloned_from uuid,
    networks text not null default '[]',
    rate_limit text,
    max_uses bigint,
    trust text,
    trust_by_kind text,
    trust_by_id uuid,
    reason text,
    revision bigint not null,
    version bigint not null,
    at timestamptz not null,
    leaf bytea not null,
    constraint numbers_name_one_token unique (account_id, number),
    constraint statuses_are_known check (status in ('active', 'suspended', 'revoked')),
    constraint trusts_have_a_maker check ((trust is null) = (trust_by_id is null)
                                      and (trust is null) = (trust_by_kind is null)),
    constraint leaves_are_sha256 check (octet_length(leaf) = 32)
) with (fillfactor = 70);
comment on table token is 'The state after all events of a token. An exchange changes version, leaf, at and last_exchanged_at; no index has them, so that the update stays HOT.';
comment on column token.suspended_by_owner is 'Whether its owner suspended it: only then may the owner resume it.';
comment on column token.epoch is 'How often all secrets of the account had been ended when the present secret was made. A secret of an earlier epoch is refused.';
comment on column token.networks is 'A JSON list of networks in CIDR form; an empty list allows every address.';
comment on column token.rate_limit is 'Calls in a time, such as 600/1m; null does not limit them.';
comment on column token.max_uses is 'Uses in all, counted in counted_use; null does not limit them.';
comment on column token.trust is 'JSON: issuer, audience, conditions on claims, and whether a JWT is accepted once. Null is a token with a secret.';
comment on column token.trust_by_id is 'Who stated the trust last, or gave the token more scopes. The token may never do more than they may.';

-- Lists sort by these. Under row-level security an index bounds a scan only by expressions that cannot reveal a row:
-- for the planner `case` is one and `coalesce` is not. An erased name comes first, a token without expiry last.
create index token_by_name on token (account_id, (case when name is null then '' else name end), token_id);
create index token_by_expiry
    on token (account_id, (case when expires_at is null then 'infinity'::timestamptz else expires_at end), token_id);
create index token_by_creation on token (account_id, created_at, token_id);
create index token_by_update on token (account_id, updated_at, token_id);
create index token_by_owner on token (account_id, owner_id, created_at, token_id);
create index token_by_creator on token (account_id, creator_id, created_at, token_id);
-- The worker finds what expires, and the alerts what has expired.
create index token_due on token (next_due_at, account_id, token_id) where next_due_at is not null;
create index token_announced on token (account_id, announced, expires_at) where announced is not null;
-- A JWT names the token and no account.
create index token_by_trust on token (token_id) where trust is not null;

-- The last index of this file: on an empty table all indexes cost the same, the planner takes the last one, and the
-- door keeps that plan. Later indexes need a predicate that the door's statements do not imply.
alter table token add primary key (account_id, token_id);
