-- The order of the log. Transactions commit in another order than they take numbers from a sequence. One sealer
-- therefore gives positions to committed events: `pos` in the whole log, `account_pos` in the log of one account.
-- Neither has a gap, and neither ever changes.

create table sealed (
    log_id smallint not null default 0,
    pos bigint not null,
    account_id uuid not null,
    account_pos bigint not null,
    subject_id uuid not null,
    version bigint not null,
    primary key (log_id, pos),
    constraint events_are_sealed_once unique (account_id, subject_id, version),
    constraint account_positions_are_unique unique (account_id, account_pos),
    constraint positions_count_from_one check (pos >= 1 and account_pos >= 1)
);
comment on table sealed is 'Append-only. The position of each event in the whole log and in the log of its account.';

create trigger sealed_is_append_only before update or delete on sealed
    for each row execute function refuse_rewriting();
create trigger sealed_is_never_truncated before truncate on sealed
    for each statement execute function refuse_rewriting();
alter table sealed enable always trigger sealed_is_append_only;
alter table sealed enable always trigger sealed_is_never_truncated;

create table head (
    log_id smallint primary key,
    size bigint not null,
    epoch smallint not null,
    server bigint,
    watermark xid8 not null,
    watermark_at timestamptz not null,
    passes bigint not null,
    passed_at timestamptz not null
) with (fillfactor = 50);
comment on table head is 'One row for each log. Every event of this epoch from a transaction before the watermark is sealed.';
comment on column head.server is 'The system identifier of the server that counts these transactions. A copy of the database on another server starts anew.';
comment on column head.watermark_at is 'When the watermark was last at the newest transaction. If that is long ago, a transaction is left open.';
comment on column head.passed_at is 'When the sealer last reported that it runs.';

insert into head (log_id, size, epoch, watermark, watermark_at, passes, passed_at)
values (0, 0, 0, '0', clock_timestamp(), 0, clock_timestamp());

create table follower (
    log_id smallint not null default 0,
    name text not null,
    position bigint not null,
    moved_at timestamptz not null default clock_timestamp(),
    primary key (log_id, name)
);
comment on table follower is 'The position up to which each follower of the log has done its work.';
