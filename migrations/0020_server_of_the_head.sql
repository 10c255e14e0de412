-- Transactions are counted by each server for itself: a watermark says nothing to a server into which the database was copied.

alter table head add column server bigint;
comment on column head.server is 'The system identifier of the server whose transactions epoch and watermark are about.';
