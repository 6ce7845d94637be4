-- A reset moved what its row says, its `used` is what the charges of its period took less what was reversed by then, and
-- periods follow each other. No open allocation has more than its amount.
WITH resets AS MATERIALIZED (
  SELECT r.*, lag(due_at) OVER (PARTITION BY allocation_id ORDER BY due_at) AS before,
         lead(due_at) OVER (PARTITION BY allocation_id ORDER BY due_at) AS after
  FROM credits_allocationreset r WHERE organization_id = %(organization)s
), taken AS (
  SELECT r.id, sum(u.credits) AS charged, sum(coalesce(back.credits, 0)) AS reversed
  FROM credits_usagerecord u
  CROSS JOIN LATERAL (SELECT id, began_at FROM credits_allocationreset
    WHERE allocation_id = u.allocation_id AND due_at > u.created_at ORDER BY due_at LIMIT 1) r
  LEFT JOIN LATERAL (SELECT sum(c.credits) AS credits FROM credits_usagerecord c
    WHERE c.organization_id = u.organization_id AND c.corrects = u.id AND c.kind = 'reversal') back ON true
  WHERE u.organization_id = %(organization)s AND u.kind = 'charge' AND u.allocation_id IN (SELECT allocation_id FROM resets)
    AND u.created_at >= r.began_at
  GROUP BY 1
)
SELECT 'reset ' || r.id, concat_ws(' ', 'an entry of', r.topped_up, r.returned), concat_ws(' ', 'an entry of', e.amount)
FROM resets r LEFT JOIN credits_ledgerentry e ON e.reset_id = r.id
WHERE coalesce(e.amount, 0) <> r.topped_up + r.returned
   OR r.topped_up > 0 AND e.target_allocation_id IS DISTINCT FROM r.allocation_id
   OR r.returned > 0 AND e.source_allocation_id IS DISTINCT FROM r.allocation_id
UNION ALL
SELECT 'reset ' || r.id, concat_ws(' ', 'used', coalesce(charged, 0), 'less up to', coalesce(reversed, 0)), 'used ' || r.used
FROM resets r LEFT JOIN taken USING (id)
WHERE r.used NOT BETWEEN coalesce(charged, 0) - coalesce(reversed, 0) AND coalesce(charged, 0)
UNION ALL
SELECT 'reset ' || r.id, concat_ws(' ', 'a period between', r.before, 'and', coalesce(r.after, a.opened_at)), concat_ws(' ', r.began_at, r.due_at)
FROM resets r JOIN credits_allocation a ON a.id = r.allocation_id
WHERE r.began_at >= r.due_at OR r.began_at < r.before OR r.after IS NULL AND a.opened_at < r.due_at
UNION ALL
SELECT 'allocation ' || id, 'at most ' || amount, concat_ws(' ', used, held, remaining) FROM credits_allocation
WHERE organization_id = %(organization)s AND closed_at IS NULL AND used + held + remaining > amount
