SELECT portal_unmake_append_only(ARRAY['credits_withdrawal']);
DELETE FROM credits_grantbalance;
