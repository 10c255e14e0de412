-- What happened in an account beside its tokens and its reads, by time.

create index event_of_account on event (account_id, at, subject_id, version) where kind <> 'token' and kind <> 'access';
