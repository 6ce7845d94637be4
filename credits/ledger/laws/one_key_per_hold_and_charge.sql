-- Law 5: every hold, and every charge that no hold stands before, owns one key, and every key one of them.
WITH made AS (
  SELECT id, 'hold' AS kind, transaction_id FROM credits_hold WHERE organization_id = %(organization)s
  UNION ALL
  SELECT id, 'charge', transaction_id FROM credits_usagerecord
  WHERE organization_id = %(organization)s AND kind = 'charge' AND hold_id IS NULL
), used AS (
  SELECT subject AS id, kind, transaction_id FROM credits_transactionkey WHERE organization_id = %(organization)s
)
SELECT coalesce(made.kind, used.kind) || ' ' || id, 'one key', CASE WHEN made.kind IS NULL THEN 'a key of nothing' ELSE 'no key' END
FROM made FULL JOIN used USING (id, kind, transaction_id) WHERE made.transaction_id IS NULL OR used.transaction_id IS NULL
   OR (made.kind IS NULL) OR (used.kind IS NULL)
