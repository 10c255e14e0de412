-- A bulk revocation survives a crash: its tokens are fixed when it is accepted, and workers take them part by part.

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
    constraint done_parts_have_results check ((done_at is null) = (revoked is null) and (done_at is null) = (failed is null))
);
comment on table bulk_revocation_part is 'Some hundred tokens a row. revoked counts those that this bulk revocation revoked, not those that were revoked before.';
create index bulk_revocation_part_open on bulk_revocation_part (account_id, bulk_revocation_id, part) where done_at is null;
