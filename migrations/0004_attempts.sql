-- What was tried in vain: counted by the minute, so that whoever tries a million times writes a few rows.

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
comment on table attempt is 'Counted in memory and added here once a second. subject_id is the token or user, nil where there were many or none; network is that of the latest, truncated; what belongs to no account stands under the nil account.';

create index attempt_by_age on attempt (minute);
