-- One-time codes: seeds, each with the step of the last code that was accepted, and the recovery codes beside them.

create table totp_seed (
    account_id uuid not null,
    user_id uuid not null,
    enrolled boolean not null,
    sealed bytea not null,
    last_step bigint not null,
    made_at timestamptz not null default clock_timestamp(),
    primary key (account_id, user_id, enrolled)
);
comment on table totp_seed is 'Seeds, encrypted under a key derived from KEY_ENCRYPTION_KEY: one that is good and perhaps one that waits to be confirmed. A code of last_step or before opens nothing.';

create table recovery_code (
    account_id uuid not null,
    user_id uuid not null,
    place integer not null,
    digest bytea not null,
    pepper_id integer not null,
    primary key (account_id, user_id, place),
    constraint digests_are_sha256 check (octet_length(digest) = 32)
);
comment on table recovery_code is 'HMAC-SHA-256 under a pepper of the codes that are still good.';
