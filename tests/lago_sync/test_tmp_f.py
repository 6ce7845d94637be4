import time
import pytest
from datetime import timedelta
from django.db import connection
from django.utils import timezone
from lago_sync.outbox import counting
pytestmark = [pytest.mark.django_db]

def test_measure():
    now = timezone.now()
    with connection.cursor() as c:
        c.execute("SET LOCAL statement_timeout = 0")
        c.execute("""INSERT INTO lago_sync_outboxevent (organization, transaction_id, code, payload, created_at, state, delivered_at)
        SELECT 'org_' || (n % 10), 'm' || n, CASE WHEN n % 3 = 0 THEN 'api_call' ELSE 'credits_used' END,
          jsonb_build_object('timestamp', extract(epoch from now() - (200000 - n) * interval '26 seconds')::numeric(20,3)::text, 'credits', '1.5'),
          now() - (200000 - n) * interval '26 seconds', 'delivered', now() FROM generate_series(1, 200000) n""")
        c.execute("ANALYZE lago_sync_outboxevent")
        c.execute("EXPLAIN SELECT count(*) FROM (SELECT 1 FROM lago_sync_outboxevent WHERE organization='org_0' AND created_at >= now() - interval '30 days' AND NOT (code='credits_used') ORDER BY created_at LIMIT 10000) x")
        print("\n".join(r[0] for r in c.fetchall()))
    since = now - timedelta(days=30)
    for most in (100, 10_000):
        for _ in range(3):
            t = time.perf_counter(); n = counting.recorded(organization="org_0", since=since, at_most=most); print(most, n, round((time.perf_counter() - t) * 1000, 2), "ms")
            t = time.perf_counter(); n = counting.recorded(organization="org_0", since=since, at_most=most, code="api_call"); print(most, n, round((time.perf_counter() - t) * 1000, 2), "ms, code")
