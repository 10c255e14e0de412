-- The ledger: events, what they add up to, and the secrets that open tokens.
-- account_id comes first in every key but one: a secret is found by its digest alone.

create table event (
    account_id uuid not null,
    kind text not null,
    subject_id uuid not null,
    version bigint not null,
    ins_seq bigint generated always as identity (cache 1),
    epoch smallint not null default 0,
    xid xid8 not null default pg_current_xact_id(),
    type text not null,
    at timestamptz not null,
    entry text not null,
    private text,
    salt bytea,
    primary key (account_id, subject_id, version),
    constraint entries_fit_a_bundle check (octet_length(entry) between 1 and 65535),
    constraint versions_count_from_one check (version >= 1),
    constraint private_parts_are_salted check ((private is null) = (salt is null))
);
comment on table event is 'Append-only. An entry is canonical JSON, hashed as this very text; private is what it only commits to.';

-- What the sealer scans: rows not yet sealed, by the transaction that wrote them.
create index event_by_transaction on event (epoch, xid);
-- A token exchanged every minute has half a million events a year; what it may do is told by these few.
create index event_changes on event (account_id, subject_id, version) where type <> 'exchanged';

create function refuse_rewriting() returns trigger language plpgsql as $$
begin
    raise exception 'the log is append-only: % on % is refused', tg_op, tg_table_name
        using errcode = 'restrict_violation', hint = 'Append another event that corrects it.';
end $$;

-- Erasing a person takes the private part and its salt, and nothing else, ever.
create function refuse_rewriting_but_erasure() returns trigger language plpgsql as $$
begin
    if new.private is null and new.salt is null
       and (new.account_id, new.kind, new.subject_id, new.version, new.ins_seq, new.epoch, new.xid, new.type, new.at, new.entry)
         = (old.account_id, old.kind, old.subject_id, old.version, old.ins_seq, old.epoch, old.xid, old.type, old.at, old.entry)
    then
        return new;
    end if;
    raise exception 'the log is append-only: UPDATE on event is refused'
        using errcode = 'restrict_violation', hint = 'Append another event that corrects it.';
end $$;

create trigger event_is_never_deleted before delete on event
    for each row execute function refuse_rewriting();
create trigger event_is_never_truncated before truncate on event
    for each statement execute function refuse_rewriting();
create trigger event_is_never_updated before update on event
    for each row execute function refuse_rewriting_but_erasure();
alter table event enable always trigger event_is_never_deleted;
alter table event enable always trigger event_is_never_truncated;
alter table event enable always trigger event_is_never_updated;

create sequence token_number as bigint minvalue 1 cache 1;

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
    lifetime text,
    expires_at timestamptz,
    lived_from timestamptz not null,
    thresholds text not null,
    noticed integer,
    next_due_at timestamptz,
    created_at timestamptz not null,
    updated_at timestamptz not null,
    last_exchanged_at timestamptz,
    generation integer not null,
    previous_until timestamptz,
    stub text not null,
    dialect text not null,
    cloned_from uuid,
    reason text,
    revision bigint not null,
    version bigint not null,
    at timestamptz not null,
    leaf bytea not null,
    constraint numbers_name_one_token unique (account_id, number),
    constraint statuses_are_known check (status in ('active', 'suspended', 'revoked')),
    constraint leaves_are_sha256 check (octet_length(leaf) = 32)
) with (fillfactor = 70);
comment on table token is 'The state that the events of a token add up to; version, leaf, at and last_exchanged_at change on every exchange and stand in no index, so that those updates stay HOT.';

-- As listings sort: an erased name first, a token that never expires last.
create index token_by_name on token (account_id, coalesce(name, ''), token_id);
create index token_by_expiry on token (account_id, coalesce(expires_at, 'infinity'::timestamptz), token_id);
create index token_by_update on token (account_id, updated_at, token_id);
create index token_by_owner on token (account_id, owner_id, token_id);
create index token_due on token (next_due_at, account_id, token_id) where next_due_at is not null;
create index token_noticed on token (account_id, noticed, expires_at) where noticed is not null;
-- The youngest of the indexes on purpose: on an empty table they all cost the same, the planner takes the youngest, and the
-- door's statements keep the plan that they were given then.
alter table token add primary key (account_id, token_id);

create table secret (
    digest bytea primary key,
    account_id uuid not null,
    token_id uuid not null,
    generation integer not null,
    pepper_id integer not null,
    constraint digests_are_sha256 check (octet_length(digest) = 32)
);
comment on table secret is 'Insert-only. HMAC-SHA-256(pepper, secret): useless without the pepper, which is never in the database.';

create trigger secret_is_insert_only before update or delete on secret
    for each row execute function refuse_rewriting();
create trigger secret_is_never_truncated before truncate on secret
    for each statement execute function refuse_rewriting();
alter table secret enable always trigger secret_is_insert_only;
alter table secret enable always trigger secret_is_never_truncated;

create table token_use (
    account_id uuid not null,
    token_id uuid not null,
    day date not null,
    generation integer not null,
    count bigint not null,
    last_at timestamptz not null,
    primary key (account_id, token_id, day, generation)
) with (fillfactor = 70);
comment on table token_use is 'Verifications, counted in memory and added here once a second.';

create table subject (
    account_id uuid not null,
    subject_id uuid not null,
    kind text not null,
    name text,
    details text not null,
    created_at timestamptz not null,
    version bigint not null,
    at timestamptz not null,
    leaf bytea not null,
    primary key (account_id, subject_id),
    constraint subjects_are_known check (kind in ('account', 'user', 'key'))
);
comment on table subject is 'The state of accounts, users and signing keys; name is an account''s name or a user''s e-mail address.';

create unique index user_by_email on subject (lower(name)) where kind = 'user';
create index subject_by_kind on subject (kind, account_id, subject_id);

create table password (
    account_id uuid not null,
    user_id uuid not null,
    hash text not null,
    primary key (account_id, user_id)
);
comment on table password is 'argon2id hashes, kept out of the log.';

create table private_key (
    account_id uuid not null,
    key_id uuid not null,
    sealed bytea not null,
    primary key (account_id, key_id)
);
comment on table private_key is 'Signing keys, encrypted with AES-256-GCM under KEY_ENCRYPTION_KEY.';

create table idempotency (
    account_id uuid not null,
    key_digest bytea not null,
    body_digest bytea not null,
    token_id uuid,
    reply bytea,
    holds_secret boolean not null default false,
    at timestamptz not null default clock_timestamp(),
    primary key (account_id, key_digest)
);
comment on table idempotency is 'What was answered under an Idempotency-Key: HMACs of key and body, and the reply sealed under the key itself.';
create index idempotency_by_age on idempotency (at);
create index idempotency_secrets on idempotency (at) where holds_secret and reply is not null;
