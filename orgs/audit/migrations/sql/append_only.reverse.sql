SELECT portal_unmake_append_only(ARRAY['audit_auditevent']);
DROP FUNCTION portal_unmake_append_only(text[]);
DROP FUNCTION portal_make_append_only(text[]);
DROP FUNCTION portal_refuse_truncate();
DROP FUNCTION portal_refuse_change();
