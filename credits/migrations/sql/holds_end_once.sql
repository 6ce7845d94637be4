-- A hold's figures never change, and it ends exactly once (law 6): an ended one may only learn what it was captured with.
CREATE FUNCTION portal_hold_ends_once() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF TG_OP = 'DELETE' THEN
    RAISE EXCEPTION 'a hold is ended, never deleted' USING ERRCODE = 'restrict_violation';
  END IF;
  IF (NEW.id, NEW.organization_id, NEW.pool_id, NEW.allocation_id, NEW.credits, NEW.transaction_id)
     IS DISTINCT FROM (OLD.id, OLD.organization_id, OLD.pool_id, OLD.allocation_id, OLD.credits, OLD.transaction_id) THEN
    RAISE EXCEPTION 'the figures of a hold never change' USING ERRCODE = 'restrict_violation';
  END IF;
  IF OLD.status <> 'active' AND (NEW.status, NEW.ended_at) IS DISTINCT FROM (OLD.status, OLD.ended_at) THEN
    RAISE EXCEPTION 'hold % has ended already: %', OLD.id, OLD.status USING ERRCODE = 'restrict_violation';
  END IF;
  IF OLD.captured_content <> '' AND NEW.captured_content <> OLD.captured_content THEN
    RAISE EXCEPTION 'hold % was captured already', OLD.id USING ERRCODE = 'restrict_violation';
  END IF;
  RETURN NEW;
END $$;
CREATE TRIGGER hold_ends_once BEFORE UPDATE OR DELETE ON credits_hold FOR EACH ROW EXECUTE FUNCTION portal_hold_ends_once();
ALTER TABLE credits_hold ENABLE ALWAYS TRIGGER hold_ends_once;
