DROP FUNCTION portal_clock();
