-- Law 3: an allocation's balances are what its entries, active holds and usage records say.
WITH moved AS (
  SELECT coalesce(target_allocation_id, source_allocation_id) AS id,
         sum(CASE WHEN target_allocation_id IS NOT NULL THEN amount ELSE -amount END) AS credits
  FROM credits_ledgerentry WHERE organization_id = %(organization)s AND coalesce(target_allocation_id, source_allocation_id) IS NOT NULL
  GROUP BY 1
), held AS (
  SELECT allocation_id AS id, sum(credits) AS credits FROM credits_hold
  WHERE organization_id = %(organization)s AND status = 'active' AND allocation_id IS NOT NULL GROUP BY 1
), spent AS (
  SELECT allocation_id AS id, sum(CASE kind WHEN 'reversal' THEN -credits ELSE credits END) AS credits
  FROM credits_usagerecord WHERE organization_id = %(organization)s AND allocation_id IS NOT NULL GROUP BY 1
), said AS (
  SELECT a.id, coalesce(moved.credits, 0) - coalesce(held.credits, 0) - coalesce(spent.credits, 0) AS remaining,
         coalesce(held.credits, 0) AS held, coalesce(spent.credits, 0) AS spent
  FROM credits_allocation a LEFT JOIN moved USING (id) LEFT JOIN held USING (id) LEFT JOIN spent USING (id)
  WHERE a.organization_id = %(organization)s
)
SELECT 'allocation ' || a.id, concat_ws(' ', said.remaining, said.held, said.spent), concat_ws(' ', a.remaining, a.held, a.spent)
FROM credits_allocation a JOIN said USING (id)
WHERE (a.remaining, a.held, a.spent) IS DISTINCT FROM (said.remaining, said.held, said.spent)
