-- A pool's balances, from its entries, active holds and usage records.
WITH said AS (
  SELECT p.id, jsonb_build_object('available', p.available, 'held', p.held, 'spent', p.spent) AS stored,
         jsonb_build_object('available', moved.credits - held.credits - spent.credits, 'held', held.credits, 'spent', spent.credits) AS rebuilt
  FROM credits_creditpool p
  LEFT JOIN LATERAL (
    SELECT coalesce(sum(CASE WHEN e.target_pool_id = p.id THEN e.amount ELSE -e.amount END), 0) AS credits
    FROM credits_ledgerentry e WHERE e.target_pool_id = p.id OR e.source_pool_id = p.id) moved ON true
  LEFT JOIN LATERAL (
    SELECT coalesce(sum(h.credits), 0) AS credits FROM credits_hold h
    WHERE h.organization_id = p.organization_id AND h.pool_id = p.id AND h.status = 'active') held ON true
  LEFT JOIN LATERAL (
    SELECT coalesce(sum(CASE u.kind WHEN 'reversal' THEN -u.credits ELSE u.credits END), 0) AS credits
    FROM credits_usagerecord u WHERE u.organization_id = p.organization_id AND u.pool_id = p.id) spent ON true
  WHERE p.organization_id = %(organization)s
)
SELECT 'pool ' || id, jsonb_build_object('id', id)::text, stored::text, rebuilt::text FROM said WHERE stored <> rebuilt ORDER BY id
