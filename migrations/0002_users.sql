-- Accounts with policies, users with roles, and the moment from which a secret counts.

alter table subject add column number bigint;
alter table subject add column status text not null default 'active';
alter table subject add column updated_at timestamptz;
alter table subject add column revision bigint not null default 1;
update subject set updated_at = created_at;
alter table subject alter column updated_at set not null;
alter table subject drop constraint subjects_are_known;
alter table subject add constraint numbers_name_one_subject unique (account_id, kind, number);
alter table subject add constraint leaves_are_sha256 check (octet_length(leaf) = 32);
comment on table subject is 'The state of accounts, users, signing keys and the like; name is an account''s name or a user''s e-mail address, details are what a kind adds.';

-- Those who could lock everyone out: counted under the account's row before one of them goes.
create index user_active on subject (account_id, subject_id) where kind = 'user' and status = 'active';

-- Again the youngest of the indexes, so that the door's statements are planned to use it: see the primary key of token.
alter table subject drop constraint subject_pkey, add primary key (account_id, subject_id);

create sequence user_number as bigint minvalue 1 cache 1;

alter table token add column minted_at timestamptz;
alter table token add column previous_minted_at timestamptz;
update token t
   set minted_at = m.times[1], previous_minted_at = m.times[2]
  from (select e.account_id, e.subject_id, array_agg(e.at order by e.version desc) as times
          from event e
         where e.kind = 'token'
           and e.type in ('created', 'rotated')
         group by e.account_id, e.subject_id) m
 where (m.account_id, m.subject_id) = (t.account_id, t.token_id);
alter table token alter column minted_at set not null;
comment on column token.minted_at is 'When the present secret was made: an account can end all those made up to some moment.';
