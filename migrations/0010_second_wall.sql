-- Orders that stay index conditions under row-level security, and what was read, by account and time.

-- Where rows are guarded, only an expression that cannot tell of a foreign row may bound the scan of an index. To the
-- planner `case` is such a one and `coalesce` is not.
drop index token_by_name;
drop index token_by_expiry;
create index token_by_name on token (account_id, (case when name is null then '' else name end), token_id);
create index token_by_expiry
    on token (account_id, (case when expires_at is null then 'infinity'::timestamptz else expires_at end), token_id);
-- The youngest of the indexes again, see 0001.
alter table token drop constraint token_pkey;
alter table token add primary key (account_id, token_id);

create index event_reads on event (account_id, at, subject_id, version) where kind = 'access';
