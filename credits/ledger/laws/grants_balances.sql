-- A grant's balance is of what was granted, and what expired or was withdrawn of it is what its entries say.
SELECT 'grant ' || g.id, concat_ws(' ', g.credits, coalesce(left_.expired, 0), coalesce(left_.withdrawn, 0)),
       coalesce(concat_ws(' ', b.credits, b.expired, b.withdrawn), 'no balance')
FROM credits_grant g
LEFT JOIN credits_grantbalance b ON b.grant_id = g.id AND b.organization_id = g.organization_id
LEFT JOIN (SELECT grant_id, sum(amount) FILTER (WHERE kind = 'expire') AS expired, sum(amount) FILTER (WHERE kind = 'withdraw') AS withdrawn
  FROM credits_ledgerentry WHERE organization_id = %(organization)s AND kind IN ('expire', 'withdraw') GROUP BY 1) left_ ON left_.grant_id = g.id
WHERE g.organization_id = %(organization)s
  AND (b.credits, b.expired, b.withdrawn) IS DISTINCT FROM (g.credits, coalesce(left_.expired, 0), coalesce(left_.withdrawn, 0))
