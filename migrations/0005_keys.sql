-- Signing keys become one subject that holds them all, and their private parts are found by the id that bearers name.

alter table private_key add column kid text;
update private_key k
   set kid = s.details::json ->> 'kid'
  from subject s
 where (s.account_id, s.subject_id) = (k.account_id, k.key_id);
alter table private_key alter column kid set not null;
alter table private_key drop constraint private_key_pkey, drop column key_id, add primary key (account_id, kid);
comment on table private_key is 'Signing keys that sign or will, encrypted with AES-256-GCM under KEY_ENCRYPTION_KEY; gone once they are retired.';

update subject
   set details = json_build_object(
           'bearer_seconds', 0,
           'keys', json_build_array(json_build_object(
               'kid', details::json ->> 'kid', 'jwk', details::json -> 'jwk', 'status', 'active',
               'published_at', to_char(created_at at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"'),
               'activated_at', to_char(created_at at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"'))))::text
 where kind = 'signing_keys';
comment on table subject is 'The state of accounts, users, the signing keys, the peppers and the like; name is an account''s name or a user''s e-mail address, details are what a kind adds.';
