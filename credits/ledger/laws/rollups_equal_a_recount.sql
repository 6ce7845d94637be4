-- Pages read rollups: they are the usage records, added up.
WITH recount AS (
  SELECT day, coalesce(department_id, 0) AS department_id, coalesce(user_id, '00000000-0000-0000-0000-000000000000') AS user_id, service, provider, model,
         count(*) FILTER (WHERE kind = 'charge') AS requests,
         coalesce(sum(input_tokens + output_tokens) FILTER (WHERE kind = 'charge'), 0) AS tokens,
         sum(CASE kind WHEN 'reversal' THEN -credits ELSE credits END) AS credits
  FROM credits_usagerecord WHERE organization_id = %(organization)s GROUP BY 1, 2, 3, 4, 5, 6
), rollup AS (
  SELECT day, department_id, user_id, service, provider, model, requests, tokens, credits
  FROM credits_dailyusage WHERE organization_id = %(organization)s
)
SELECT concat_ws(' ', day, service, provider, model), concat_ws(' ', recount.requests, recount.tokens, recount.credits),
       concat_ws(' ', rollup.requests, rollup.tokens, rollup.credits)
FROM recount FULL JOIN rollup USING (day, department_id, user_id, service, provider, model)
WHERE (recount.requests, recount.tokens, recount.credits) IS DISTINCT FROM (rollup.requests, rollup.tokens, rollup.credits)
