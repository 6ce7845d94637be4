-- A grant enters its organization's pool by one entry of its amount.
SELECT 'grant ' || g.id, g.credits::text, coalesce(sum(e.amount), 0)::text
FROM credits_grant g LEFT JOIN credits_ledgerentry e ON e.grant_id = g.id AND e.kind = 'grant'
WHERE g.organization_id = %(organization)s GROUP BY g.id, g.credits HAVING coalesce(sum(e.amount), 0) <> g.credits OR count(e.id) <> 1
