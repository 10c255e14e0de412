-- From which networks, and how often, a token may be used: it says so beside what its account's policy says.

alter table token add column networks text not null default '[]';
alter table token add column rate_limit text;
comment on column token.networks is 'A JSON list of networks in CIDR form; an empty one is anywhere.';
comment on column token.rate_limit is 'Calls in a time, such as 600/1m; null is any number.';
