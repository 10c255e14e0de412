-- Numbers are counted for each account by itself: a sequence for all told each tenant how many the others took.
-- A counter that is not there yet begins after the greatest number that its account has.

create table number_counter (
    account_id uuid not null,
    kind text not null,
    last bigint not null,
    primary key (account_id, kind),
    constraint kinds_are_numbered check (kind in ('token', 'user')),
    constraint numbers_stay_small check (last between 1 and 2147483647)
) with (fillfactor = 50);
comment on table number_counter is 'The last number that was taken for a token or a user of an account, by a statement of its own before the creation.';

drop sequence token_number;
drop sequence user_number;
