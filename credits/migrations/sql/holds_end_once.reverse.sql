DROP TRIGGER hold_ends_once ON credits_hold;
DROP FUNCTION portal_hold_ends_once();
