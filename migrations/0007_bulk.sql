-- What is done to many tokens at once: secrets that were imported, and bulk revocations that are carried out part by part.

alter table secret add column scheme text not null default 'counterfoil';
alter table secret add constraint schemes_are_known check (scheme in ('counterfoil', 'sha256', 'sha512'));
comment on table secret is 'Insert-only. HMAC-SHA-256(pepper, secret), or of a plain digest of a secret from elsewhere: useless without the pepper, which is never in the database.';
create index secret_foreign on secret (scheme) where scheme <> 'counterfoil';

create table bulk_revocation_part (
    account_id uuid not null,
    bulk_revocation_id uuid not null,
    part integer not null,
    token_ids uuid[] not null,
    staged_at timestamptz not null default clock_timestamp(),
    done_at timestamptz,
    revoked integer,
    failed uuid[],
    primary key (account_id, bulk_revocation_id, part),
    constraint parts_that_are_done_say_how check ((done_at is null) = (revoked is null) and (done_at is null) = (failed is null))
);
comment on table bulk_revocation_part is 'The tokens of a bulk revocation, frozen when it was accepted, some hundred a row; revoked counts those that this bulk revocation ended.';
create index bulk_revocation_part_open on bulk_revocation_part (account_id, bulk_revocation_id, part) where done_at is null;
create index bulk_revocation_open on subject (account_id, subject_id) where kind = 'bulk_revocation' and status in ('accepted', 'running');
