-- Views for analysts, under the names that the portal's predecessor had; read-only, since each joins or groups.
-- Ids are public ids, credits numeric with 6 places, money whole cents of the organization's one currency. The last 30
-- days are those of the organization's calendar. Every side is added up on its own before it is joined, so that no row
-- counts once for each row of another table.

CREATE VIEW org_billing_summary AS
SELECT o.public_id AS org_id, o.name AS org_name, plan.code AS subscription_plan,
       CASE price.interval WHEN 'yearly' THEN round(price.amount_cents / 12.0)::bigint WHEN 'monthly' THEN price.amount_cents END AS monthly_price_cents,
       o.currency, live.status AS subscription_status,
       coalesce(grants.credits, 0) AS total_credits, coalesce(shares.allocated, 0) AS allocated_credits,
       coalesce(pools.spent, 0) + coalesce(shares.spent, 0) AS used_credits, coalesce(pools.available, 0) AS available_credits,
       coalesce(grants.paid_cents, 0) AS lifetime_spent_cents,
       coalesce(members.count, 0) AS member_count, coalesce(shares.open, 0) AS allocated_users_count
FROM orgs_organization o
LEFT JOIN orgs_subscription live ON live.organization_id = o.id AND live.ended_at IS NULL
LEFT JOIN orgs_plan plan ON plan.id = live.plan_id
LEFT JOIN LATERAL (
  SELECT interval, amount_cents FROM lago_sync_lagosubscription
  WHERE organization_id = o.id AND ended_at IS NULL ORDER BY started_at DESC LIMIT 1) price ON true
LEFT JOIN LATERAL (
  SELECT sum(credits) AS credits, sum(paid_cents)::bigint AS paid_cents FROM credits_grant WHERE organization_id = o.id) grants ON true
LEFT JOIN LATERAL (
  SELECT sum(available) AS available, sum(spent) AS spent FROM credits_creditpool WHERE organization_id = o.id) pools ON true
LEFT JOIN LATERAL (
  SELECT sum(spent) AS spent, count(*) FILTER (WHERE closed_at IS NULL) AS open,
         sum(used + held + remaining) FILTER (WHERE closed_at IS NULL) AS allocated
  FROM credits_allocation WHERE organization_id = o.id) shares ON true
LEFT JOIN LATERAL (
  SELECT count(*) FROM orgs_membership WHERE organization_id = o.id AND ended_at IS NULL) members ON true
WHERE o.status = 'active';

CREATE VIEW user_multi_org_credits AS
SELECT u.public_id AS user_id, o.public_id AS org_id, o.name AS org_name, a.used + a.held + a.remaining AS allocated_credits,
       a.used AS used_credits, a.held AS held_credits, a.remaining AS remaining_credits, a.closed_at IS NULL AS is_active
FROM credits_allocation a
JOIN orgs_organization o ON o.id = a.organization_id AND o.status = 'active'
JOIN orgs_user u ON u.id = a.user_id
JOIN orgs_membership m ON m.organization_id = a.organization_id AND m.user_id = a.user_id AND m.ended_at IS NULL;

CREATE VIEW top_credit_users_by_org AS
SELECT o.public_id AS org_id, u.public_id AS user_id, sum(d.credits) AS total_credits_used, sum(d.requests)::bigint AS request_count,
       array_agg(DISTINCT d.service ORDER BY d.service) AS services_used, max(d.day) AS last_usage,
       rank() OVER (PARTITION BY o.id ORDER BY sum(d.credits) DESC) AS place
FROM orgs_organization o
JOIN credits_dailyusage d ON d.organization_id = o.id
  AND d.day BETWEEN (now() AT TIME ZONE o.time_zone)::date - 29 AND (now() AT TIME ZONE o.time_zone)::date
JOIN orgs_user u ON u.id = d.user_id
GROUP BY o.id, u.id;

CREATE VIEW org_billing_metrics AS
SELECT o.public_id AS org_id, o.name AS org_name, o.currency,
       coalesce(bought.count, 0) + coalesce(fees.count, 0) AS invoice_count,
       coalesce(bought.cents, 0) + coalesce(fees.cents, 0) AS total_revenue_cents,
       coalesce(bought.failed_cents, 0) AS failed_payments_cents,
       coalesce(used.credits, 0) AS total_credits_used, coalesce(used.people, 0) AS active_users
FROM orgs_organization o
LEFT JOIN LATERAL (
  SELECT count(*) FILTER (WHERE status = 'completed') AS count,
         sum(amount_cents) FILTER (WHERE status = 'completed')::bigint AS cents,
         sum(amount_cents) FILTER (WHERE status IN ('declined', 'failed'))::bigint AS failed_cents
  FROM lago_sync_purchase
  WHERE organization_id = o.id AND currency = o.currency AND coalesce(completed_at, created_at) >= now() - interval '30 days') bought ON true
LEFT JOIN LATERAL (
  SELECT count(*), sum(fee.amount_cents)::bigint AS cents FROM orgs_planfee fee
  JOIN orgs_subscription paid_for ON paid_for.id = fee.subscription_id
  WHERE paid_for.organization_id = o.id AND fee.currency = o.currency AND fee.paid_at >= now() - interval '30 days') fees ON true
LEFT JOIN LATERAL (
  SELECT sum(credits) AS credits, count(DISTINCT user_id) FILTER (WHERE user_id <> '00000000-0000-0000-0000-000000000000') AS people
  FROM credits_dailyusage
  WHERE organization_id = o.id
    AND day BETWEEN (now() AT TIME ZONE o.time_zone)::date - 29 AND (now() AT TIME ZONE o.time_zone)::date) used ON true
WHERE o.status = 'active';
