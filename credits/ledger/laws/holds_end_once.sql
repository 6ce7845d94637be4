-- Law 6: a captured hold has one charge; an active or released one has none; only an expired one may have a late one.
SELECT 'hold ' || h.id, CASE h.status WHEN 'captured' THEN '1 charge' WHEN 'expired' THEN 'at most 1 late charge' ELSE '0 charges' END,
       count(u.id) || ' charges, ' || count(u.id) FILTER (WHERE u.late) || ' late'
FROM credits_hold h LEFT JOIN credits_usagerecord u ON u.hold_id = h.id AND u.kind = 'charge'
WHERE h.organization_id = %(organization)s
GROUP BY h.id, h.status
HAVING NOT CASE h.status WHEN 'captured' THEN count(u.id) = 1 WHEN 'expired' THEN count(u.id) <= 1 AND count(u.id) = count(u.id) FILTER (WHERE u.late)
  ELSE count(u.id) = 0 END
