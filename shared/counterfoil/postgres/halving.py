"""Find the version that a subject had at a moment or position, by halving: 20 look-ups in a million events."""


def halving(table: str, reached: str, *, kind: str = "") -> str:
    """Return the common table `halving`; its row with low = high has the last version whose `reached` is at most $3.

    $1 is the account, $2 the subject; `kind` is a further condition on the subject's rows, after an `and`. The column
    `reached` never decreases from version to version. Of a subject without rows the version is 0.
    """
    # Not max(version): with no statistics a planner may count through all of them for it. The limit keeps each step one
    # look-up by key, whatever the planner believes of the subject.
    return f"""
  with recursive halving(low, high) as (
       select 0::bigint, coalesce((select version
                                     from {table}
                                    where account_id = $1 and subject_id = $2 {kind}
                                    order by version desc
                                    limit 1), 0)
        union all
       select case when probe.{reached} <= $3 then middle else low end,
              case when probe.{reached} <= $3 then high else middle - 1 end
         from halving,
              lateral (select (low + high + 1) / 2 as middle) as half,
              lateral (select {reached}
                         from {table}
                        where (account_id, subject_id, version) = ($1, $2, middle)
                        limit 1) as probe
        where low < high)"""
