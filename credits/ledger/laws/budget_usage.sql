-- A live hard budget's rows say what its periods used and what active holds reserve of them; a missing row says nothing.
WITH live AS (
  SELECT id, public_id, scope, department_id, user_id, model, period, since FROM credits_budget
  WHERE organization_id = %(organization)s AND is_hard AND archived_at IS NULL
), used AS (
  SELECT live.id, date_trunc(live.period, d.day::timestamp)::date AS starts_on, sum(d.credits) AS credits
  FROM live JOIN credits_dailyusage d ON d.organization_id = %(organization)s AND d.day >= live.since AND CASE live.scope
    WHEN 'department' THEN d.department_id = live.department_id WHEN 'member' THEN d.user_id = live.user_id
    WHEN 'model' THEN d.model = live.model ELSE true END
  GROUP BY 1, 2
), held AS (
  SELECT live.id, date_trunc(live.period, h.day::timestamp)::date AS starts_on, sum(h.credits) AS credits
  FROM live JOIN credits_hold h ON h.organization_id = %(organization)s AND h.status = 'active' AND h.day >= live.since
    AND CASE live.scope WHEN 'department' THEN h.department_id = live.department_id WHEN 'member' THEN h.user_id = live.user_id
      WHEN 'model' THEN h.model = live.model ELSE true END
  GROUP BY 1, 2
), said AS (
  SELECT u.budget_id AS id, u.starts_on, u.used, u.held FROM credits_budgetusage u
  JOIN live ON live.id = u.budget_id AND u.starts_on >= live.since
)
SELECT concat_ws(' ', 'budget', live.public_id, 'from', starts_on),
       concat_ws(' ', coalesce(used.credits, 0), coalesce(held.credits, 0)), concat_ws(' ', coalesce(said.used, 0), coalesce(said.held, 0))
FROM used FULL JOIN held USING (id, starts_on) FULL JOIN said USING (id, starts_on) JOIN live USING (id)
WHERE (coalesce(used.credits, 0), coalesce(held.credits, 0)) <> (coalesce(said.used, 0), coalesce(said.held, 0))
