-- How often a token may be used in all, and what an owner may have and use. Uses are counted beside the log: a use is no event.

alter table token add column max_uses bigint;
comment on column token.max_uses is 'Uses in all; null is any number. They are counted in counted_use.';

create table counted_use (
    account_id uuid not null,
    subject_id uuid not null,
    used bigint not null,
    granted bigint not null,
    primary key (account_id, subject_id),
    constraint uses_are_counted_up check (used >= granted and granted >= 0)
) with (fillfactor = 50);
comment on table counted_use is 'Uses of a token that has max_uses, or of an owner whose quota has: counted before they are accepted. granted is what the last count gave.';

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
comment on table owner_quota is 'What a subject of kind owner_quota says at present, by the owner: look-ups of tokens join it, and what makes a token of an owner with max_tokens holds its row.';
