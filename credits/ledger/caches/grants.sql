-- What became of a grant: expired and withdrawn from its entries. Which grants were burned for what payers spent was
-- decided when it was burned, so that is kept as far as it can be true: no more of a grant than is not gone otherwise, and
-- of all together no more than was spent; what is too much is taken back from those that would be burned last.
WITH gone AS (
  SELECT grant_id, coalesce(sum(amount) FILTER (WHERE kind = 'expire'), 0) AS expired,
         coalesce(sum(amount) FILTER (WHERE kind = 'withdraw'), 0) AS withdrawn
  FROM credits_ledgerentry WHERE organization_id = %(organization)s AND grant_id IS NOT NULL GROUP BY 1
), spent AS (
  SELECT coalesce(sum(CASE kind WHEN 'reversal' THEN -credits ELSE credits END), 0) AS credits
  FROM credits_usagerecord WHERE organization_id = %(organization)s
), possible AS (
  SELECT g.id, g.credits, coalesce(gone.expired, 0) AS expired, coalesce(gone.withdrawn, 0) AS withdrawn, b.grant_id IS NOT NULL AS is_there,
         b.credits AS had, b.consumed, b.expired AS had_expired, b.withdrawn AS had_withdrawn,
         g.priority, CASE WHEN b.grant_id IS NULL THEN g.expires_at ELSE b.expires_at END AS expires_at, g.created_at,
         least(coalesce(b.consumed, 0), g.credits - coalesce(gone.expired, 0) - coalesce(gone.withdrawn, 0)) AS burned
  FROM credits_grant g LEFT JOIN credits_grantbalance b ON b.grant_id = g.id LEFT JOIN gone ON gone.grant_id = g.id
  WHERE g.organization_id = %(organization)s
), ranked AS (
  SELECT *, sum(burned) OVER () AS every, coalesce(sum(burned) OVER (
    ORDER BY priority DESC, expires_at DESC NULLS FIRST, created_at DESC, id DESC ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING), 0) AS later
  FROM possible
), said AS (
  SELECT r.id, r.expires_at,
         CASE WHEN is_there THEN jsonb_build_object('credits', had, 'consumed', consumed, 'expired', had_expired, 'withdrawn', had_withdrawn) END AS stored,
         jsonb_build_object('credits', r.credits, 'consumed', burned - least(burned, greatest(every - spent.credits - later, 0)),
                            'expired', expired, 'withdrawn', withdrawn) AS rebuilt
  FROM ranked r CROSS JOIN spent
)
SELECT 'grant ' || id, jsonb_build_object('grant_id', id, 'organization_id', %(organization)s, 'expires_at', expires_at)::text, stored::text, rebuilt::text
FROM said WHERE stored IS DISTINCT FROM rebuilt ORDER BY id
