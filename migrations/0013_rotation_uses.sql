-- After a rotation with a grace, somebody must know who still uses the previous secret before it ends.

create table rotation_use (
    account_id uuid not null,
    token_id uuid not null,
    rotation integer not null,
    generation integer not null,
    network text not null,
    count bigint not null,
    last_at timestamptz not null,
    primary key (account_id, token_id, rotation, generation, network),
    constraint uses_are_of_the_two_secrets check (generation in (rotation, rotation - 1)),
    constraint networks_are_short check (octet_length(network) <= 50)
) with (fillfactor = 70);
comment on table rotation_use is 'Uses of both secrets of a token while the previous one is accepted, by network. Each process counts them in memory and adds them here once a second. The worker deletes those of earlier rotations.';
comment on column rotation_use.rotation is 'The generation of the secret that the rotation made.';

alter table token
    add column previous_hint text not null default '',
    add column rotated_at timestamptz,
    add column grace_start timestamptz,
    add column grace_announced integer;
comment on column token.grace_start is 'When the present grace of the previous secret began: with the rotation, or with a change of its end.';
comment on column token.grace_announced is 'How many seconds before its end this grace was announced; null is not yet.';

-- The worker finds graces that end; ended ones are behind the scan. Alerts are found by account.
create index token_in_grace on token (previous_until, account_id, token_id)
 where previous_until is not null and grace_announced is null;
create index token_grace_announced on token (account_id, previous_until, token_id) where grace_announced is not null;
