SELECT portal_unmake_append_only(ARRAY['credits_ledgerentry', 'credits_usagerecord', 'credits_grant']);
