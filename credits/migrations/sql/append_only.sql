SELECT portal_make_append_only(ARRAY['credits_ledgerentry', 'credits_usagerecord', 'credits_grant']);
