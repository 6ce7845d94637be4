SELECT portal_unmake_append_only(ARRAY['credits_allocationreset']);
