-- An open allocation's `used` is what its charges of the present period took, less their reversals. Reversals are few and
-- looked up apart: joined with all records, they cost a scan each where the planner has no statistics yet.
WITH reversed AS MATERIALIZED (
  SELECT r.allocation_id, r.credits, c.created_at
  FROM credits_usagerecord r JOIN credits_usagerecord c ON c.id = r.corrects
  WHERE r.organization_id = %(organization)s AND r.kind = 'reversal' AND r.allocation_id IS NOT NULL
), taken AS (
  SELECT allocation_id, credits, created_at FROM credits_usagerecord
  WHERE organization_id = %(organization)s AND kind <> 'reversal' AND allocation_id IS NOT NULL
  UNION ALL
  SELECT allocation_id, -credits, created_at FROM reversed
), own AS (
  SELECT a.id, sum(t.credits) AS used
  FROM taken t JOIN credits_allocation a ON a.id = t.allocation_id
  WHERE a.closed_at IS NULL AND t.created_at >= a.opened_at
  GROUP BY 1
)
SELECT 'allocation ' || a.id, coalesce(own.used, 0), a.used FROM credits_allocation a LEFT JOIN own USING (id)
WHERE a.organization_id = %(organization)s AND a.closed_at IS NULL AND a.used IS DISTINCT FROM coalesce(own.used, 0)
