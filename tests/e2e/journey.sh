#!/usr/bin/env bash
# The main job through the REST API, from outside, against any portal whose Lago is the sandbox:
#   BASE_URL=http://127.0.0.1:8000 KEY=cpk_… tests/e2e/journey.sh
# KEY is a personal key with all scopes: its owner makes an organization, subscribes it, buys and pays credits, allocates
# and spends them, finds everything again in the API, the ledger and at Lago, and archives the organization.
# LAGO_API_KEY is the sandbox's. Each step prints PASS or FAIL; the exit code is the number of failures.
set -uo pipefail

BASE_URL=${BASE_URL:-http://127.0.0.1:8000}
KEY=${KEY:?a personal key with all scopes; \`make e2e\` takes the demo\'s}
LAGO_API_KEY=${LAGO_API_KEY:-lago-sandbox-key}
API="$BASE_URL/api/v1"
RUN="e2e-$(date +%s)-$$"
WORK=$(mktemp -d)
trap 'rm -rf "$WORK"' EXIT
failures=0
status=0
body=""

# call METHOD URL [JSON] [HEADER]: sets $status and $body.
call() {
  local arguments=(-sS -X "$1" -o "$WORK/body" -w '%{http_code}' -H "Authorization: Bearer ${TOKEN:-$KEY}")
  [ -n "${3:-}" ] && arguments+=(-H 'Content-Type: application/json' -d "$3")
  [ -n "${4:-}" ] && arguments+=(-H "$4")
  : >"$WORK/body"
  status=$(curl "${arguments[@]}" "$2") || status=000
  body=$(cat "$WORK/body")
}

# field PATH: a value out of $body, such as purchase.status or data.0.code; empty where there is none.
field() {
  python3 -c '
import json, sys
try:
    found = json.loads(sys.argv[1])
    for name in sys.argv[2].split("."):
        found = found[int(name)] if isinstance(found, list) else found[name]
except (ValueError, KeyError, IndexError, TypeError):
    found = None
print("" if found is None else found)' "$body" "$1"
}

pass() { printf 'PASS  %s\n' "$1"; }
fail() {
  printf 'FAIL  %s: status %s, %s\n' "$1" "$status" "${body:0:300}"
  failures=$((failures + 1))
}
check() { if [ "$2" = "$3" ]; then pass "$1"; else fail "$1 (expected $3, found $2)"; fi; }
# needed: like check, but nothing after it makes sense without it.
needed() {
  check "$@"
  [ "$2" = "$3" ] || { printf '%s failed; stopped\n' "$failures"; exit "$failures"; }
}

# until_is WHAT EXPECTED SECONDS COMMAND…: asks again each second.
until_is() {
  local what=$1 expected=$2 seconds=$3
  shift 3
  for ((i = 0; i < seconds; i++)); do
    [ "$("$@")" = "$expected" ] && { pass "$what"; return; }
    sleep 1
  done
  fail "$what (expected $expected, found $("$@"))"
}

call GET "$API/me"
needed "the key is known" "$status" 200
USER_ID=$(field id)

call POST "$API/orgs" "{\"name\": \"Journey $RUN\"}"
needed "make an organization" "$status" 201
ORG=$(field id)

call POST "$API/org-billing/subscriptions" "{\"org_id\": \"$ORG\", \"plan_code\": \"starter\"}"
check "subscribe it to starter" "$status $(field subscription.plan_code) $(field subscription.status)" "201 starter active"
SUBSCRIPTION=$(field subscription.external_id)
call POST "$API/org-billing/subscriptions" "{\"org_id\": \"$ORG\", \"plan_code\": \"starter\"}"
check "a second subscription is refused" "$status $(field error.code)" "409 subscription_exists"

ADD="$API/org-billing/credits/$ORG/add"
ORDER='{"package_code": "credits-5000"}'
call POST "$ADD" "$ORDER"
check "a purchase without a key is refused" "$status $(field error.code)" "400 invalid_request"
call POST "$ADD" "$ORDER" "Idempotency-Key: $RUN"
needed "buy 5,000 credits" "$status $(field purchase.credits) $(field purchase.amount_cents)" "202 5000 4500"
PURCHASE=$(field purchase.id)
call POST "$ADD" "$ORDER" "Idempotency-Key: $RUN"
check "the second click is the same purchase" "$(field purchase.id)" "$PURCHASE"
call POST "$ADD" '{"package_code": "credits-1000"}' "Idempotency-Key: $RUN"
check "another order under the key is refused" "$status $(field error.code)" "409 idempotency_conflict"

purchase() {
  call GET "$API/org-billing/credits/$ORG/purchases/$PURCHASE"
  field "$1"
}
has_payment_page() { [ -n "$(purchase payment_url)" ] && echo yes; }
until_is "a page to pay on" yes 30 has_payment_page
call GET "$API/org-billing/credits/$ORG"
check "nothing is granted before it is paid" "$(field available)" 0

# A person would click: the page has a form with a token.
purchase payment_url >"$WORK/url"
PAY_URL=$(cat "$WORK/url")
LAGO="${PAY_URL%%/pay/*}"
curl -sS -c "$WORK/jar" "$PAY_URL" >"$WORK/page"
TOKEN_FIELD=$(sed -n 's/.*name="csrfmiddlewaretoken" value="\([^"]*\)".*/\1/p' "$WORK/page" | head -1)
PAID=$(curl -sS -o /dev/null -w '%{http_code}' -b "$WORK/jar" -c "$WORK/jar" -e "$PAY_URL" \
  -d "csrfmiddlewaretoken=$TOKEN_FIELD&action=pay" "$PAY_URL")
case $PAID in 200 | 302 | 303) pass "pay on the sandbox's page" ;; *) status=$PAID fail "pay on the sandbox's page" ;; esac
until_is "the purchase is completed" completed 60 purchase status

call GET "$API/org-billing/credits/$ORG"
check "the credits are there, once" "$(field available) $(field granted)" "5000 5000"

call POST "$API/org-billing/credits/$ORG/allocate" "{\"user_id\": \"$USER_ID\", \"credits\": \"1000\"}"
check "allocate 1,000" "$status $(field allocation.remaining) $(field pool.available)" "201 1000 4000"

call POST "$API/usage/holds" "{\"transaction_id\": \"$RUN\", \"org_id\": \"$ORG\", \"credits\": \"10\", \"service\": \"chat\"}"
check "hold 10" "$status $(field payer.kind) $(field payer.remaining)" "201 allocation 990"
HOLD=$(field hold.id)
call POST "$API/usage/holds/$HOLD/capture" '{"credits": "7.5"}'
check "capture 7.5" "$status $(field charge.credits) $(field payer.remaining)" "200 7.5 992.5"
CHARGE=$(field charge.id)

call GET "$API/org-billing/credits/$ORG"
check "the figures of the pool" "$(field available) $(field reserved) $(field used) $(field held)" "4000 992.5 7.5 0"
call GET "$API/org-billing/credits/$ORG/records"
check "the usage record" "$(field data.0.id) $(field data.0.credits)" "$CHARGE 7.5"
call GET "$API/org-billing/credits/$ORG/ledger"
check "the ledger, newest first" "$(field data.0.kind) $(field data.0.amount) $(field data.1.kind) $(field data.1.amount)" \
  "allocate 1000 grant 5000"

event_credits() {
  TOKEN=$LAGO_API_KEY call GET "$LAGO/api/v1/events/$CHARGE"
  field event.properties.credits
}
until_is "the event is at Lago" 7.5 60 event_credits
TOKEN=$LAGO_API_KEY call GET "$LAGO/api/v1/customers/$ORG/current_usage?external_subscription_id=$SUBSCRIPTION"
check "Lago bills nothing for it" "$status $(field customer_usage.total_amount_cents)" "200 0"
TOKEN=$LAGO_API_KEY call GET "$LAGO/api/v1/customers/$ORG/wallets"
check "the wallet shows what was bought" "$(field wallets.0.code) $(field wallets.0.balance_cents)" "credits 4500"

call DELETE "$API/orgs/$ORG"
check "archive the organization" "$status" 204
call GET "$API/orgs/$ORG"
check "it is found no more" "$status" 404

printf '%s failed\n' "$failures"
exit "$failures"
