-- Accounts, users, signing keys, peppers and the like: few rows of many kinds, so one table holds their state as JSON.

create table subject (
    account_id uuid not null,
    subject_id uuid not null,
    kind text not null,
    number bigint,
    name text,
    email_key bytea,
    status text not null default 'active',
    details text not null,
    created_at timestamptz not null,
    updated_at timestamptz not null,
    revision bigint not null default 1,
    version bigint not null,
    at timestamptz not null,
    leaf bytea not null,
    constraint email_keys_are_sha256 check (octet_length(email_key) = 32),
    constraint leaves_are_sha256 check (octet_length(leaf) = 32)
);
comment on table subject is 'The state after all events of a subject that is no token. name is an account''s name or a user''s e-mail address; details are the other fields of its kind.';
comment on column subject.email_key is 'SHA-256 of the canonical form of a user''s e-mail address (UTS 46, which Postgres cannot compute); null without an address.';

create unique index numbers_name_one_subject on subject (account_id, kind, number) where number is not null;
-- An e-mail address names one user of an account. Its key comes first: some look-ups do not know the account.
create unique index user_by_email on subject (email_key, account_id) where kind = 'user' and email_key is not null;
create index subject_by_kind on subject (kind, account_id, subject_id);
create index subject_by_name on subject (account_id, kind, name collate "C") where status = 'active';
create index user_by_creation on subject (account_id, created_at, subject_id) where kind = 'user';
-- An account never loses its last administrator: they are counted under the account's row.
create index user_active on subject (account_id, subject_id) where kind = 'user' and status = 'active';
create index account_by_parent on subject ((details::json ->> 'parent')) where kind = 'account';
-- A login without an account means the account that was founded first.
create index account_founded on subject (created_at, subject_id)
 where kind = 'account' and details::json ->> 'parent' is null;
create index bulk_revocation_open on subject (account_id, subject_id)
 where kind = 'bulk_revocation' and status in ('accepted', 'running');

-- The last index of this file, for the reason that 0002 gives.
alter table subject add primary key (account_id, subject_id);

-- Each account counts its own numbers: one sequence would tell each tenant how many the others take.
create table number_counter (
    account_id uuid not null,
    kind text not null,
    last bigint not null,
    primary key (account_id, kind),
    constraint kinds_are_numbered check (kind in ('token', 'user')),
    constraint numbers_stay_small check (last between 1 and 2147483647)
) with (fillfactor = 50);
comment on table number_counter is 'The last number of a token or a user of an account. A statement of its own takes it before the creation.';
