-- What withdrawals of a grant took is what its entries took.
SELECT 'grant ' || coalesce(w.grant_id, e.grant_id), coalesce(w.taken, 0)::text, coalesce(e.taken, 0)::text
FROM (SELECT grant_id, sum(withdrawn) AS taken FROM credits_withdrawal WHERE organization_id = %(organization)s GROUP BY 1) w
FULL JOIN (SELECT grant_id, sum(amount) AS taken FROM credits_ledgerentry
  WHERE organization_id = %(organization)s AND kind = 'withdraw' GROUP BY 1) e USING (grant_id)
WHERE coalesce(w.taken, 0) <> coalesce(e.taken, 0)
