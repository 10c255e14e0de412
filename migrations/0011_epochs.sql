-- How often all secrets of an account were ended, instead of when: clocks differ, and are set back.
-- A secret of a database that is older than this counts as made before every end: where there was one, it is rotated anew.

alter table token add column epoch integer not null default 0;
alter table token add column previous_epoch integer not null default 0;
alter table token drop column minted_at;
alter table token drop column previous_minted_at;
comment on column token.epoch is 'How often all secrets of the account had been ended when the present one was made: fewer times than by now, and it is dead.';

update subject s
   set details = (s.details::jsonb || jsonb_build_object('epoch', e.ends))::text
  from (select account_id, subject_id, count(*) as ends
          from event
         where kind = 'account'
           and type = 'secrets_ended'
         group by account_id, subject_id) e
 where (s.account_id, s.subject_id) = (e.account_id, e.subject_id);

update subject s
   set details = (s.details::jsonb || jsonb_build_object('generation', 1 + e.changes))::text
  from (select account_id, subject_id, count(*) as changes
          from event
         where kind = 'user'
           and type in ('password_changed', 'totp_enrolled', 'totp_removed')
         group by account_id, subject_id) e
 where (s.account_id, s.subject_id) = (e.account_id, e.subject_id);
