-- Who suspended a token decides who may resume it. Of an earlier suspension it is not known: its owner cannot undo it.

alter table token add column suspended_by_owner boolean not null default false;
