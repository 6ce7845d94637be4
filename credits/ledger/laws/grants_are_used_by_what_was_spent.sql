-- Grants were used by no more than payers have spent in their whole life; what was spent since the last burn is not assigned yet.
WITH used AS (
  SELECT coalesce(sum(consumed), 0) AS credits FROM credits_grantbalance WHERE organization_id = %(organization)s
), spent AS (
  SELECT (SELECT coalesce(sum(spent), 0) FROM credits_creditpool WHERE organization_id = %(organization)s)
       + (SELECT coalesce(sum(spent), 0) FROM credits_allocation WHERE organization_id = %(organization)s) AS credits
)
SELECT 'what grants were used by', 'at most ' || spent.credits, used.credits::text FROM used, spent WHERE used.credits > spent.credits
