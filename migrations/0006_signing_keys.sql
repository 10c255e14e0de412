-- Public keys are part of the log; a private key must be forgotten when it retires, so it stands beside the log.

create table private_key (
    account_id uuid not null,
    kid text not null,
    encrypted bytea not null,
    primary key (account_id, kid)
);
comment on table private_key is 'Keys that sign or will sign, encrypted with AES-256-GCM under KEY_ENCRYPTION_KEY.';
