-- A debt, from its charge, and what settlements, reversals and forgiveness made of it.
WITH charge AS (
  SELECT u.id, u.created_at, jsonb_build_object('amount', u.shortfall,
         'settled', coalesce(sum(c.credits) FILTER (WHERE c.kind = 'settlement'), 0),
         'forgiven', coalesce(sum(c.shortfall) FILTER (WHERE c.kind IN ('reversal', 'forgiveness')), 0)) AS rebuilt
  FROM credits_usagerecord u
  LEFT JOIN credits_usagerecord c ON c.organization_id = u.organization_id AND c.corrects = u.id
  WHERE u.organization_id = %(organization)s AND u.kind = 'charge' AND u.shortfall > 0 GROUP BY 1, 2, u.shortfall
), debt AS (
  SELECT charge_id AS id, jsonb_build_object('amount', amount, 'settled', settled, 'forgiven', forgiven) AS stored
  FROM credits_shortfall WHERE organization_id = %(organization)s
)
SELECT 'shortfall of ' || id, jsonb_build_object('charge_id', id, 'organization_id', %(organization)s, 'created_at', charge.created_at)::text,
       debt.stored::text, charge.rebuilt::text
FROM charge FULL JOIN debt USING (id) WHERE debt.stored IS DISTINCT FROM charge.rebuilt ORDER BY id
