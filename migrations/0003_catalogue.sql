-- Small subjects are listed by name, and an account's children by their parent.

create index subject_by_name on subject (account_id, kind, name collate "C") where status = 'active';
create index account_by_parent on subject ((details::json ->> 'parent')) where kind = 'account';
-- Again the youngest of the indexes: see the primary key of token.
alter table subject drop constraint subject_pkey, add primary key (account_id, subject_id);
