-- The ledger's clock: the wall at this moment (now() is the transaction's start, older than the wall after a wait).
-- Tests move it with `SET portal.clock_offset`; only a connection that says `portal.testing=on` may, and production never says so.
CREATE FUNCTION portal_clock() RETURNS timestamptz LANGUAGE sql VOLATILE AS $$
  SELECT CASE WHEN current_setting('portal.testing', true) = 'on'
    THEN clock_timestamp() + coalesce(nullif(current_setting('portal.clock_offset', true), ''), '0')::interval
    ELSE clock_timestamp() END
$$;
