-- Books are never updated, deleted or emptied, whoever asks (ENABLE ALWAYS: replication roles too).
-- TRUNCATE passes only where the session says so, which test settings do and production refuses to start with.
CREATE FUNCTION portal_refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  RAISE EXCEPTION '% is append-only: a correction is a new row', TG_TABLE_NAME USING ERRCODE = 'restrict_violation';
END $$;

CREATE FUNCTION portal_refuse_truncate() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF coalesce(current_setting('portal.allow_truncate', true), '') <> 'on' THEN
    RAISE EXCEPTION '% is append-only and is not emptied', TG_TABLE_NAME USING ERRCODE = 'restrict_violation';
  END IF;
  RETURN NULL;
END $$;

CREATE FUNCTION portal_make_append_only(tables text[]) RETURNS void LANGUAGE plpgsql AS $$
DECLARE name text;
BEGIN
  FOREACH name IN ARRAY tables LOOP
    EXECUTE format('CREATE TRIGGER append_only BEFORE UPDATE OR DELETE ON %I FOR EACH ROW EXECUTE FUNCTION portal_refuse_change()', name);
    EXECUTE format('CREATE TRIGGER append_only_truncate BEFORE TRUNCATE ON %I FOR EACH STATEMENT EXECUTE FUNCTION portal_refuse_truncate()', name);
    EXECUTE format('ALTER TABLE %I ENABLE ALWAYS TRIGGER append_only', name);
    EXECUTE format('ALTER TABLE %I ENABLE ALWAYS TRIGGER append_only_truncate', name);
  END LOOP;
END $$;

CREATE FUNCTION portal_unmake_append_only(tables text[]) RETURNS void LANGUAGE plpgsql AS $$
DECLARE name text;
BEGIN
  FOREACH name IN ARRAY tables LOOP
    EXECUTE format('DROP TRIGGER append_only ON %I', name);
    EXECUTE format('DROP TRIGGER append_only_truncate ON %I', name);
  END LOOP;
END $$;

SELECT portal_make_append_only(ARRAY['audit_auditevent']);
