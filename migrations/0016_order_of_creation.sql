-- What was created first comes first, by the clock of the database: the time in an id is that of the process that made it.

create index token_by_creation on token (account_id, created_at, token_id);
drop index token_by_owner;
create index token_by_owner on token (account_id, owner_id, created_at, token_id);
create index user_by_creation on subject (account_id, created_at, subject_id) where kind = 'user';
-- The youngest of the indexes again, see 0001.
alter table token drop constraint token_pkey, add primary key (account_id, token_id);
alter table subject drop constraint subject_pkey, add primary key (account_id, subject_id);
