-- Law 3: a pool's balances are what its entries, active holds and usage records say.
SELECT 'pool ' || p.id,
       concat_ws(' ', moved.credits - held.credits - spent.credits, held.credits, spent.credits),
       concat_ws(' ', p.available, p.held, p.spent)
FROM credits_creditpool p
CROSS JOIN LATERAL (SELECT coalesce(sum(CASE WHEN e.target_pool_id = p.id THEN e.amount ELSE -e.amount END), 0) AS credits
  FROM credits_ledgerentry e WHERE e.target_pool_id = p.id OR e.source_pool_id = p.id) moved
CROSS JOIN LATERAL (SELECT coalesce(sum(h.credits), 0) AS credits
  FROM credits_hold h WHERE h.organization_id = p.organization_id AND h.pool_id = p.id AND h.status = 'active') held
CROSS JOIN LATERAL (SELECT coalesce(sum(CASE u.kind WHEN 'reversal' THEN -u.credits ELSE u.credits END), 0) AS credits
  FROM credits_usagerecord u WHERE u.organization_id = p.organization_id AND u.pool_id = p.id) spent
WHERE p.organization_id = %(organization)s
  AND (p.available, p.held, p.spent) IS DISTINCT FROM (moved.credits - held.credits - spent.credits, held.credits, spent.credits)
