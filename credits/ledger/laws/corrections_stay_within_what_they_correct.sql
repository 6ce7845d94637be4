-- A reversal gives back no more than a charge or settlement took, and a settlement takes, and
-- a forgiveness cancels, no more than its charge owes.
SELECT u.kind || ' ' || u.id, 'a charge, or a correction of one, of at least as much',
       coalesce(concat_ws(' ', c.kind, c.credits, c.shortfall), 'nothing')
FROM credits_usagerecord u
LEFT JOIN credits_usagerecord c ON c.id = u.corrects AND c.organization_id = u.organization_id
WHERE u.organization_id = %(organization)s AND u.kind <> 'charge' AND NOT coalesce(CASE u.kind
  WHEN 'reversal' THEN c.kind IN ('charge', 'settlement') AND u.credits <= c.credits AND u.shortfall <= c.shortfall
  WHEN 'settlement' THEN c.kind = 'charge' AND u.credits <= c.shortfall
  WHEN 'forgiveness' THEN c.kind = 'charge' AND u.credits = 0 AND u.shortfall <= c.shortfall
  ELSE false END, false)
