-- Refused attempts are counted by the minute: a million of them write a few rows.

create table attempt (
    account_id uuid not null,
    minute timestamptz not null,
    kind text not null,
    subject_id uuid not null,
    network text not null,
    count bigint not null,
    last_at timestamptz not null,
    primary key (account_id, minute, kind, subject_id),
    constraint kinds_are_short check (octet_length(kind) between 1 and 40),
    constraint networks_are_short check (octet_length(network) <= 50)
) with (fillfactor = 70);
comment on table attempt is 'Each process counts them in memory and adds them here once a second. subject_id is the token or user, nil for many or none. network is that of the last attempt, truncated. Attempts outside of any account have the nil account.';

create index attempt_by_age on attempt (minute);
