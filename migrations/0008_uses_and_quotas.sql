-- A use is no event: there are too many. They are counted beside the log.

create table token_use (
    account_id uuid not null,
    token_id uuid not null,
    day date not null,
    generation integer not null,
    count bigint not null,
    last_at timestamptz not null,
    primary key (account_id, token_id, day, generation)
) with (fillfactor = 70);
comment on table token_use is 'Verifications. Each process counts them in memory and adds them here once a second.';

create table counted_use (
    account_id uuid not null,
    subject_id uuid not null,
    used bigint not null,
    granted bigint not null,
    primary key (account_id, subject_id),
    constraint uses_are_counted_up check (used >= granted and granted >= 0)
) with (fillfactor = 50);
comment on table counted_use is 'Uses of a token with max_uses, or of an owner whose quota has it, counted before they are accepted. granted is what the last count gave.';

create table owner_quota (
    account_id uuid not null,
    owner_type text not null,
    owner_id text not null,
    subject_id uuid not null,
    rate_limit text,
    max_uses bigint,
    max_tokens bigint,
    primary key (account_id, owner_type, owner_id)
);
comment on table owner_quota is 'The present state of a subject of kind owner_quota, by owner. Look-ups of tokens join it; a creation for an owner with max_tokens locks its row.';
