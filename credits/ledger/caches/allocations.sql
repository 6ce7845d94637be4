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
), spent AS (
  SELECT u.allocation_id AS id, sum(CASE u.kind WHEN 'reversal' THEN -u.credits ELSE u.credits END) AS credits,
         sum(CASE u.kind WHEN 'reversal' THEN -u.credits ELSE u.credits END)
           FILTER (WHERE coalesce(c.created_at, u.created_at) >= a.opened_at) AS of_period
  FROM credits_usagerecord u
  JOIN credits_allocation a ON a.id = u.allocation_id
  LEFT JOIN credits_usagerecord c ON c.id = u.corrects AND u.kind = 'reversal'
  WHERE u.organization_id = %(organization)s AND u.allocation_id IS NOT NULL GROUP BY 1
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
