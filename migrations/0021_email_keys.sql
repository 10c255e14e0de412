-- By what an e-mail address is looked up: one key for all spellings of it. Postgres cannot compute it (UTS 46), so the code
-- does; `counterfoil migrate` fills it in for the users who are there, and for those whom an older process adds meanwhile.

alter table subject add column email_key bytea;
alter table subject add constraint email_keys_are_sha256 check (octet_length(email_key) = 32);
comment on column subject.email_key is 'SHA-256 of the canonical form of a user''s e-mail address; null without one, and where another user has it in another spelling.';
-- A name that an older process erased leaves its key behind: it is nobody's, until the next `counterfoil migrate`.
create unique index user_by_email_key on subject (account_id, email_key) where kind = 'user' and name is not null;
-- An index that only a number leads through: on an empty table the planner took the old one to look up a subject by its id
-- as soon as rows became wider by this column.
alter table subject drop constraint numbers_name_one_subject;
create unique index numbers_name_one_subject on subject (account_id, kind, number) where number is not null;
-- The youngest of the indexes again, see 0001.
alter table subject drop constraint subject_pkey, add primary key (account_id, subject_id);
