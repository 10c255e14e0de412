-- How users prove who they are. Secrets and hashes stay out of the log, which never forgets.

create table password (
    account_id uuid not null,
    user_id uuid not null,
    hash text not null,
    primary key (account_id, user_id)
);
comment on table password is 'argon2id hashes.';

create table totp_seed (
    account_id uuid not null,
    user_id uuid not null,
    enrolled boolean not null,
    encrypted bytea not null,
    last_step bigint not null,
    made_at timestamptz not null default clock_timestamp(),
    primary key (account_id, user_id, enrolled)
);
comment on table totp_seed is 'Seeds, encrypted under a key derived from KEY_ENCRYPTION_KEY: the one in use, and perhaps one to be confirmed. A code of last_step or before is refused.';

create table recovery_code (
    account_id uuid not null,
    user_id uuid not null,
    place integer not null,
    digest bytea not null,
    pepper_id integer not null,
    primary key (account_id, user_id, place),
    constraint digests_are_sha256 check (octet_length(digest) = 32)
);
comment on table recovery_code is 'HMAC-SHA-256 under a pepper of the codes that are not used yet.';
