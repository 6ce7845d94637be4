-- Law 1: granted - expired - withdrawn = available + held + remaining + used. The two sides come from different rows.
WITH entered AS (
  SELECT coalesce(sum(CASE kind WHEN 'grant' THEN amount WHEN 'expire' THEN -amount WHEN 'withdraw' THEN -amount ELSE 0 END), 0) AS credits
  FROM credits_ledgerentry WHERE organization_id = %(organization)s
), lies AS (
  SELECT (SELECT coalesce(sum(available), 0) FROM credits_creditpool WHERE organization_id = %(organization)s)
       + (SELECT coalesce(sum(credits), 0) FROM credits_hold WHERE organization_id = %(organization)s AND status = 'active')
       + (SELECT coalesce(sum(remaining), 0) FROM credits_allocation WHERE organization_id = %(organization)s)
       + (SELECT coalesce(sum(CASE kind WHEN 'reversal' THEN -credits ELSE credits END), 0)
          FROM credits_usagerecord WHERE organization_id = %(organization)s) AS credits
)
SELECT 'what was granted', entered.credits, lies.credits FROM entered, lies WHERE entered.credits IS DISTINCT FROM lies.credits
