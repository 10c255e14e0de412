-- Subscriptions send events to webhooks. A subscription is a subject; beside it stand its secrets and its place in the
-- queue of the workers. A delivery is one event for one subscription: it survives a crash, and keeps its id over all
-- attempts, so that a receiver recognises a message that it gets twice.

create table subscription (
    account_id uuid not null,
    subscription_id uuid not null,
    secret bytea not null,
    previous_secret bytea,
    previous_until timestamptz,
    due_at timestamptz,
    rests_until timestamptz not null default '-infinity',
    leased_until timestamptz not null default '-infinity',
    served_at timestamptz not null default '-infinity',
    failures integer not null default 0,
    primary key (account_id, subscription_id),
    constraint previous_secrets_have_an_end check ((previous_secret is null) = (previous_until is null))
);
comment on table subscription is 'One row for each subscription that is not removed. Secrets are encrypted.';
comment on column subscription.due_at is 'When a worker has to look at its deliveries next; null if none is pending.';
comment on column subscription.rests_until is 'After failed attempts, so that a receiver that is away costs little.';
comment on column subscription.leased_until is 'Until then one worker sends its deliveries; if that worker dies, another takes over.';
comment on column subscription.failures is 'Failed attempts in a row.';
create index subscription_due on subscription (due_at) where due_at is not null;
create index subscription_leased on subscription (leased_until);

create table delivery (
    account_id uuid not null,
    delivery_id uuid not null,
    subscription_id uuid not null,
    subject_id uuid not null,
    version bigint not null,
    position bigint not null,
    type text not null,
    generation bigint,
    status text not null,
    reason text,
    attempts integer not null default 0,
    created_at timestamptz not null default clock_timestamp(),
    next_attempt_at timestamptz not null default clock_timestamp(),
    attempted_at timestamptz,
    redelivered_at timestamptz,
    ended_at timestamptz,
    response_status integer,
    excerpt text,
    primary key (account_id, delivery_id),
    constraint events_are_delivered_once unique (account_id, subscription_id, subject_id, version),
    constraint statuses_are_known check (status in ('pending', 'delivered', 'dead', 'cancelled')),
    constraint ends_are_timed check ((status = 'pending') = (ended_at is null)),
    constraint cancelled_and_dead_deliveries_say_why check (status not in ('dead', 'cancelled') or reason is not null)
);
comment on table delivery is 'One event for one subscription. delivery_id is the webhook-id. Content is made when it is sent, from the event.';
comment on column delivery.position is 'Of the event in the whole log.';
comment on column delivery.generation is 'Of the token''s secret at the event.';
create index delivery_pending on delivery (account_id, subscription_id, position) where status = 'pending';
create index delivery_due on delivery (account_id, subscription_id, next_attempt_at) where status = 'pending';
create index delivery_waiting on delivery (coalesce(redelivered_at, created_at)) where status = 'pending';
create index delivery_listed on delivery (account_id, subscription_id, position, delivery_id);
create index delivery_dead on delivery (ended_at) where status = 'dead';
create index delivery_ended on delivery (ended_at) where ended_at is not null;
