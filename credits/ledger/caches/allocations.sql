-- An allocation's balances, from its entries, active holds and usage records. `used` is of the present period, which a
-- closed one does not have: it keeps what it shows.
WITH moved AS (
  SELECT coalesce(target_allocation_id, source_allocation_id) AS id,
         sum(CASE WHEN target_allocation_id IS NOT NULL THEN amount ELSE -amount END) AS credits
  FROM credits_ledgerentry WHERE organization_id = %(organization)s AND coalesce(target_allocation_id, source_allocation_id) IS NOT NULL
  GROUP BY 1
), held AS (
  SELECT allocation_id AS id, sum(credits) AS credits FROM credits_hold
  WHERE organization_id = %(organization)s AND status = 'active' AND allocation_id IS NOT NULL GROUP BY 1
), reversed AS MATERIALIZED (
  SELECT r.allocation_id, r.credits, c.created_at
  FROM credits_usagerecord r JOIN credits_usagerecord c ON c.id = r.corrects
  WHERE r.organization_id = %(organization)s AND r.kind = 'reversal' AND r.allocation_id IS NOT NULL
), taken AS (
  SELECT allocation_id, credits, created_at FROM credits_usagerecord
  WHERE organization_id = %(organization)s AND kind <> 'reversal' AND allocation_id IS NOT NULL
  UNION ALL
  SELECT allocation_id, -credits, created_at FROM reversed
), spent AS (
  SELECT t.allocation_id AS id, sum(t.credits) AS credits, sum(t.credits) FILTER (WHERE t.created_at >= a.opened_at) AS of_period
  FROM taken t JOIN credits_allocation a ON a.id = t.allocation_id GROUP BY 1
), said AS (
  SELECT a.id, jsonb_build_object('remaining', a.remaining, 'held', a.held, 'used', a.used, 'spent', a.spent) AS stored,
         jsonb_build_object(
           'remaining', coalesce(moved.credits, 0) - coalesce(held.credits, 0) - coalesce(spent.credits, 0),
           'held', coalesce(held.credits, 0),
           'used', CASE WHEN a.closed_at IS NULL THEN coalesce(spent.of_period, 0) ELSE a.used END,
           'spent', coalesce(spent.credits, 0)) AS rebuilt
  FROM credits_allocation a LEFT JOIN moved USING (id) LEFT JOIN held USING (id) LEFT JOIN spent USING (id)
  WHERE a.organization_id = %(organization)s
)
SELECT 'allocation ' || id, jsonb_build_object('id', id)::text, stored::text, rebuilt::text FROM said WHERE stored <> rebuilt ORDER BY id
