-- Law 2, beside the constraints that say the same.
SELECT 'pool ' || id, 'at least -' || overdraft_limit, concat_ws(' ', available, held, spent) FROM credits_creditpool
WHERE organization_id = %(organization)s AND NOT (available >= -overdraft_limit AND held >= 0 AND spent >= 0 AND available <> 'NaN' AND held <> 'NaN' AND spent <> 'NaN')
UNION ALL
SELECT 'allocation ' || id, 'at least 0', concat_ws(' ', remaining, held, used, spent) FROM credits_allocation
WHERE organization_id = %(organization)s AND NOT (remaining >= 0 AND held >= 0 AND used >= 0 AND spent >= 0
  AND remaining <> 'NaN' AND held <> 'NaN' AND used <> 'NaN' AND spent <> 'NaN')
