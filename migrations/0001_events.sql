-- The log. An event is written once and never changed, so the log itself refuses every other statement.

create table event (
    account_id uuid not null,
    kind text not null,
    subject_id uuid not null,
    version bigint not null,
    ins_seq bigint generated always as identity (cache 1),
    epoch smallint not null default 0,
    xid xid8 not null default pg_current_xact_id(),
    type text not null,
    at timestamptz not null,
    entry text not null,
    private text,
    salt bytea,
    primary key (account_id, subject_id, version),
    constraint entries_fit_a_bundle check (octet_length(entry) between 1 and 65535),
    constraint versions_count_from_one check (version >= 1),
    constraint private_parts_are_salted check ((private is null) = (salt is null))
);
comment on table event is 'Append-only. An entry is canonical JSON; its text is hashed. It commits to the private part by a salted hash.';
comment on column event.ins_seq is 'The order of inserts; the sealer turns it into positions.';
comment on column event.epoch is 'Counts restores: transaction ids of an earlier epoch come from another server.';

-- The sealer scans the events that are not sealed yet, by the transaction that wrote them.
create index event_by_transaction on event (epoch, xid);
-- A token that is exchanged every minute has half a million events a year. The others say what it may do.
create index event_changes on event (account_id, subject_id, version) where type <> 'exchanged';
-- Reads of an account, and everything else that happened in it beside its tokens, by time.
create index event_access on event (account_id, at, subject_id, version) where kind = 'access';
create index event_of_account on event (account_id, at, subject_id, version) where kind <> 'token' and kind <> 'access';

create function refuse_rewriting() returns trigger language plpgsql as $$
begin
    raise exception 'the log is append-only: % on % is refused', tg_op, tg_table_name
        using errcode = 'restrict_violation', hint = 'Append another event that corrects it.';
end $$;

-- Erasing a person removes the private part and its salt. No other update is allowed.
create function refuse_rewriting_but_erasure() returns trigger language plpgsql as $$
begin
    if new.private is null and new.salt is null
       and (new.account_id, new.kind, new.subject_id, new.version, new.ins_seq, new.epoch, new.xid, new.type, new.at, new.entry)
         = (old.account_id, old.kind, old.subject_id, old.version, old.ins_seq, old.epoch, old.xid, old.type, old.at, old.entry)
    then
        return new;
    end if;
    raise exception 'the log is append-only: UPDATE on event is refused'
        using errcode = 'restrict_violation', hint = 'Append another event that corrects it.';
end $$;

create trigger event_is_never_deleted before delete on event
    for each row execute function refuse_rewriting();
create trigger event_is_never_truncated before truncate on event
    for each statement execute function refuse_rewriting();
create trigger event_is_never_updated before update on event
    for each row execute function refuse_rewriting_but_erasure();
alter table event enable always trigger event_is_never_deleted;
alter table event enable always trigger event_is_never_truncated;
alter table event enable always trigger event_is_never_updated;
