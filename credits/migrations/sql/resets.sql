-- What was set before resets existed is the amount that a reset would restore.
UPDATE credits_allocation SET amount = used + held + remaining WHERE closed_at IS NULL;
SELECT portal_make_append_only(ARRAY['credits_allocationreset']);
