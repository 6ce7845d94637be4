-- A charge's shortfall is one debt of that amount; what was settled of it is what its settlements took, what was
-- forgiven is what its reversal and what staff's forgiveness say, and there is no debt without its charge.
WITH charge AS (
  SELECT u.id, u.shortfall AS owed,
         coalesce(sum(c.credits) FILTER (WHERE c.kind = 'settlement'), 0) AS settled,
         coalesce(sum(c.shortfall) FILTER (WHERE c.kind IN ('reversal', 'forgiveness')), 0) AS forgiven
  FROM credits_usagerecord u
  LEFT JOIN credits_usagerecord c ON c.organization_id = u.organization_id AND c.corrects = u.id
  WHERE u.organization_id = %(organization)s AND u.kind = 'charge' AND u.shortfall > 0 GROUP BY 1, 2
), debt AS (
  SELECT charge_id AS id, amount AS owed, settled, forgiven FROM credits_shortfall WHERE organization_id = %(organization)s
)
SELECT 'charge ' || id, format('%%s owed, %%s settled, %%s forgiven', charge.owed, charge.settled, charge.forgiven),
       format('%%s owed, %%s settled, %%s forgiven', debt.owed, debt.settled, debt.forgiven)
FROM charge FULL JOIN debt USING (id)
WHERE (charge.owed, charge.settled, charge.forgiven) IS DISTINCT FROM (debt.owed, debt.settled, debt.forgiven)
