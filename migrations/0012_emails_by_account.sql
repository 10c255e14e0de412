-- An e-mail address names one user of an account; a login names the account too, or means the one that was founded first.

drop index user_by_email;
create unique index user_by_email on subject (account_id, lower(name)) where kind = 'user';
create index account_founded on subject (created_at, subject_id)
 where kind = 'account' and details::json ->> 'parent' is null;
-- Again the youngest of the indexes: see the primary key of token.
alter table subject drop constraint subject_pkey, add primary key (account_id, subject_id);
