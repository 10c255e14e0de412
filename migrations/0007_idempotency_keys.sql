-- A repeated request gets the first answer again. The claim is committed with the events, so there is never one alone.

create table idempotency_key (
    account_id uuid not null,
    key_digest bytea not null,
    body_digest bytea not null,
    token_id uuid,
    reply bytea,
    holds_secret boolean not null default false,
    at timestamptz not null default clock_timestamp(),
    primary key (account_id, key_digest)
);
comment on table idempotency_key is 'HMACs of key and body, and the reply, encrypted under the key itself.';
create index idempotency_key_by_age on idempotency_key (at);
create index idempotency_key_secrets on idempotency_key (at) where holds_secret and reply is not null;
