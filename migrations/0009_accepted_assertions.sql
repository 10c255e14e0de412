-- A JWT that a token accepts once is never accepted again, by any process.

create table accepted_assertion (
    account_id uuid not null,
    token_id uuid not null,
    digest bytea not null,
    expires_at timestamptz not null,
    primary key (account_id, token_id, digest),
    constraint digests_are_sha256 check (octet_length(digest) = 32)
);
comment on table accepted_assertion is 'SHA-256 of issuer and jti. The worker deletes it after the JWT has expired.';
create index accepted_assertion_by_expiry on accepted_assertion (expires_at);
