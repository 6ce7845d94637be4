-- Grants made before they had priorities: the order of `credits.ledger.priorities`, and a balance each.
SELECT portal_unmake_append_only(ARRAY['credits_grant']);
UPDATE credits_grant SET priority = CASE source WHEN 'promotion' THEN 10 WHEN 'goodwill' THEN 20 WHEN 'plan' THEN 30
  WHEN 'adjustment' THEN 40 WHEN 'migration' THEN 50 ELSE 60 END;
SELECT portal_make_append_only(ARRAY['credits_grant', 'credits_withdrawal']);
INSERT INTO credits_grantbalance (grant_id, organization_id, credits, consumed, expired, withdrawn)
SELECT id, organization_id, credits, 0, 0, 0 FROM credits_grant;
