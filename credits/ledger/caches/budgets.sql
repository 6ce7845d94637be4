-- What is used and held of hard budgets, from usage records and active holds. Rows of nothing stay as they are.
WITH live AS (
  SELECT id, public_id, scope, department_id, user_id, model, period, since FROM credits_budget
  WHERE organization_id = %(organization)s AND is_hard AND archived_at IS NULL
), used AS (
  SELECT live.id, date_trunc(live.period, r.day::timestamp)::date AS starts_on,
         sum(CASE r.kind WHEN 'reversal' THEN -r.credits ELSE r.credits END) AS credits
  FROM live JOIN credits_usagerecord r ON r.organization_id = %(organization)s AND r.day >= live.since AND CASE live.scope
    WHEN 'department' THEN r.department_id = live.department_id WHEN 'member' THEN r.user_id = live.user_id
    WHEN 'model' THEN r.model = live.model ELSE true END
  GROUP BY 1, 2
), held AS (
  SELECT live.id, date_trunc(live.period, h.day::timestamp)::date AS starts_on, sum(h.credits) AS credits
  FROM live JOIN credits_hold h ON h.organization_id = %(organization)s AND h.status = 'active' AND h.day >= live.since
    AND CASE live.scope WHEN 'department' THEN h.department_id = live.department_id WHEN 'member' THEN h.user_id = live.user_id
      WHEN 'model' THEN h.model = live.model ELSE true END
  GROUP BY 1, 2
), stored AS (
  SELECT u.budget_id AS id, u.starts_on, u.used, u.held FROM credits_budgetusage u
  JOIN live ON live.id = u.budget_id AND u.starts_on >= live.since
), said AS (
  SELECT id, starts_on,
         CASE WHEN stored.used IS NOT NULL THEN jsonb_build_object('used', stored.used, 'held', stored.held) END AS stored,
         jsonb_build_object('used', coalesce(used.credits, 0), 'held', coalesce(held.credits, 0)) AS rebuilt
  FROM used FULL JOIN held USING (id, starts_on) FULL JOIN stored USING (id, starts_on)
)
SELECT concat_ws(' ', 'budget', live.public_id, 'from', starts_on),
       jsonb_build_object('budget_id', id, 'starts_on', starts_on, 'organization_id', %(organization)s)::text,
       said.stored::text, said.rebuilt::text
FROM said JOIN live USING (id)
WHERE said.stored IS DISTINCT FROM said.rebuilt AND (said.stored IS NOT NULL OR said.rebuilt <> '{"used": 0, "held": 0}')
ORDER BY id, starts_on
