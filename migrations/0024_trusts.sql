-- Tokens that are opened by the JWTs of an issuer in place of a secret, and the JWTs that were accepted once.

alter table token add column trust text;
alter table token add column trust_by_kind text;
alter table token add column trust_by_id uuid;
alter table token add constraint trusts_have_a_maker check ((trust is null) = (trust_by_id is null)
                                                        and (trust is null) = (trust_by_kind is null));
comment on column token.trust is 'JSON: issuer, audience, conditions on claims, and whether a JWT is accepted once; null is a token with a secret.';
comment on column token.trust_by_id is 'Who stated the trust last, or gave the token more scopes: it may never do more than they still may.';

-- Whoever presents a JWT names the token alone.
create index token_by_trust on token (token_id) where trust is not null;
-- The youngest of the indexes again, see 0001.
alter table token drop constraint token_pkey, add primary key (account_id, token_id);

create table accepted_assertion (
    account_id uuid not null,
    token_id uuid not null,
    digest bytea not null,
    expires_at timestamptz not null,
    primary key (account_id, token_id, digest),
    constraint digests_are_sha256 check (octet_length(digest) = 32)
);
comment on table accepted_assertion is 'SHA-256 of issuer and jti, never the JWT; forgotten once the JWT has ended.';
create index accepted_assertion_by_end on accepted_assertion (expires_at);
