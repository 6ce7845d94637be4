-- The daily use that pages read: the usage records, added up.
WITH recount AS (
  SELECT day, coalesce(department_id, 0) AS department_id, coalesce(user_id, '00000000-0000-0000-0000-000000000000') AS user_id, service, provider, model,
         jsonb_build_object(
           'requests', count(*) FILTER (WHERE kind = 'charge'),
           'tokens', coalesce(sum(input_tokens + output_tokens) FILTER (WHERE kind = 'charge'), 0),
           'credits', sum(CASE kind WHEN 'reversal' THEN -credits ELSE credits END)) AS rebuilt
  FROM credits_usagerecord WHERE organization_id = %(organization)s GROUP BY 1, 2, 3, 4, 5, 6
), rollup AS (
  SELECT day, department_id, user_id, service, provider, model,
         jsonb_build_object('requests', requests, 'tokens', tokens, 'credits', credits) AS stored
  FROM credits_dailyusage WHERE organization_id = %(organization)s
)
SELECT concat_ws(' ', 'use of', day, service, provider, model, 'by', user_id),
       jsonb_build_object('organization_id', %(organization)s, 'day', day, 'department_id', department_id, 'user_id', user_id,
                          'service', service, 'provider', provider, 'model', model)::text,
       rollup.stored::text, recount.rebuilt::text
FROM recount FULL JOIN rollup USING (day, department_id, user_id, service, provider, model)
WHERE rollup.stored IS DISTINCT FROM recount.rebuilt ORDER BY day, department_id, user_id, service, provider, model
