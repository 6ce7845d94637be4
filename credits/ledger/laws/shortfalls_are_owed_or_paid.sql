-- A charge's shortfall is one debt of that amount; what was settled of it is what its settlements took.
SELECT 'charge ' || u.id, u.shortfall || ' owed, ' || coalesce(paid.credits, 0) || ' settled', coalesce(s.amount, 0) || ' owed, ' || coalesce(s.settled, 0) || ' settled'
FROM credits_usagerecord u
LEFT JOIN credits_shortfall s ON s.charge_id = u.id
LEFT JOIN LATERAL (SELECT sum(p.credits) AS credits FROM credits_usagerecord p
  WHERE p.organization_id = u.organization_id AND p.corrects = u.id AND p.kind = 'settlement') paid ON true
WHERE u.organization_id = %(organization)s AND u.kind = 'charge' AND (u.shortfall > 0 OR s.id IS NOT NULL)
  AND (u.shortfall, coalesce(paid.credits, 0)) IS DISTINCT FROM (coalesce(s.amount, 0), coalesce(s.settled, 0))
