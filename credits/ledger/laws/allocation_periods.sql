-- An open allocation's `used` is what its charges of the present period took, less their reversals.
WITH own AS (
  SELECT a.id, sum(CASE WHEN u.kind = 'reversal' THEN -u.credits ELSE u.credits END) AS used
  FROM credits_allocation a
  JOIN credits_usagerecord u ON u.organization_id = a.organization_id AND u.allocation_id = a.id
  LEFT JOIN credits_usagerecord c ON c.id = u.corrects AND u.kind = 'reversal'
  WHERE a.organization_id = %(organization)s AND a.closed_at IS NULL AND coalesce(c.created_at, u.created_at) >= a.opened_at
  GROUP BY 1
)
SELECT 'allocation ' || a.id, coalesce(own.used, 0), a.used FROM credits_allocation a LEFT JOIN own USING (id)
WHERE a.organization_id = %(organization)s AND a.closed_at IS NULL AND a.used IS DISTINCT FROM coalesce(own.used, 0)
