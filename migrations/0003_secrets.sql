-- A secret names no account: its digest alone finds the token that it opens.

create table secret (
    digest bytea primary key,
    account_id uuid not null,
    token_id uuid not null,
    generation integer not null,
    pepper_id integer not null,
    scheme text not null default 'counterfoil',
    constraint digests_are_sha256 check (octet_length(digest) = 32),
    constraint schemes_are_known check (scheme in ('counterfoil', 'sha256', 'sha512'))
);
comment on table secret is 'Insert-only. HMAC-SHA-256(pepper, secret), or of a plain digest of an imported secret. Useless without the pepper, which is never in the database.';

create index secret_imported on secret (scheme) where scheme <> 'counterfoil';

create trigger secret_is_insert_only before update or delete on secret
    for each row execute function refuse_rewriting();
create trigger secret_is_never_truncated before truncate on secret
    for each statement execute function refuse_rewriting();
alter table secret enable always trigger secret_is_insert_only;
alter table secret enable always trigger secret_is_never_truncated;
