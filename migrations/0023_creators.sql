-- What one user or token made: its tokens in the order of their creation, and from these on to what they made.

create index token_by_creator on token (account_id, creator_id, created_at, token_id);
-- The youngest of the indexes again, see 0001.
alter table token drop constraint token_pkey, add primary key (account_id, token_id);
