"""The OpenAPI page: valid, complete both ways, and true: its curl lines run, and the answers have the shapes it names."""

import re
from decimal import Decimal
from uuid import uuid4

import jsonschema
import pytest
from django.contrib.staticfiles import finders
from django.db import transaction
from django.utils import timezone
from drf_spectacular.drainage import GENERATOR_STATS
from drf_spectacular.validation import validate_schema

from credits.pricing.costs import CreditsCost
from lago_sync.invoices import mirror
from lago_sync.models import LagoInvoice, PaymentMethod
from lago_sync.purchases import orders
from lago_sync.setup import installing
from lago_sync.subscriptions import catalogue, changing, plans
from orgs.audit.events import SYSTEM, Actor
from tests.contract import openapi
from tests.factories import credits as make
from tests.factories import orgs
from tests.factories.api import Http, Scene, undone
from tests.factories.lago import Sandbox

OPERATIONS = openapi.operations()
WITHOUT_BODY = {
    ("POST", "/api/v1/usage/holds/{hold_id}/release"),
    ("POST", "/api/v1/orgs/{org_id}/switch"),
    ("POST", "/api/v1/org-billing/credits/{org_id}/requests/{request_id}/withdraw"),
    ("POST", "/api/v1/org-billing/credits/{org_id}/purchases/{purchase_id}/abandon"),
    ("POST", "/api/v1/org-billing/billing/invoices/{org_id}/{invoice_id}/retry"),
    ("POST", "/api/v1/org-billing/billing/invoices/{org_id}/{invoice_id}/send"),
}


class TestThePage:
    def test_is_valid_and_made_without_a_warning(self):
        GENERATOR_STATS.reset()
        openapi.document.cache_clear()
        validate_schema(openapi.document())
        assert not GENERATOR_STATS._warn_cache, dict(GENERATOR_STATS._warn_cache)
        assert not GENERATOR_STATS._error_cache, dict(GENERATOR_STATS._error_cache)

    def test_has_every_route_and_no_other(self):
        assert {(one.method, one.path) for one in OPERATIONS} == openapi.routes()

    def test_names_each_operation_once(self):
        names = [one.spec["operationId"] for one in OPERATIONS]
        assert len(set(names)) == len(names)

    def test_is_served_to_anybody(self, client):
        answer = client.get("/api/schema/")
        assert answer.status_code == 200
        assert b"/api/v1/usage/holds" in answer.content


@pytest.mark.parametrize("operation", OPERATIONS, ids=str)
def test_says_what_goes_in_what_comes_out_and_how_to_call_it(operation):
    spec = operation.spec
    assert spec["summary"]
    assert spec["tags"]
    assert operation.curl.startswith("curl "), "no curl line"
    assert "\n" not in operation.curl
    statuses = {int(status) for status in spec["responses"]}
    assert statuses & {200, 201, 202, 204}
    assert 401 in statuses
    writes = (
        operation.method in ("POST", "PUT", "PATCH")
        and (operation.method, operation.path) not in WITHOUT_BODY
    )
    assert ("requestBody" in spec) == writes
    assert not writes or statuses >= {400, 413, 415, 422}
    if "{" in operation.path:
        assert 404 in statuses
    for status in statuses:
        if status >= 400:
            content = spec["responses"][str(status)]["content"]["application/json"]["schema"]
            assert content == {"$ref": "#/components/schemas/Error"}, status
            assert spec["responses"][str(status)]["description"], status


@pytest.fixture
def names(scene: Scene, lago: Sandbox, settings) -> dict[str, str]:
    """Return what a reader of the page would set: an owner's key, an organization, and rows to try things on."""
    settings.LAGO_PAYMENT_PROVIDER = settings.LAGO_PAYMENT_PROVIDER_CODE = "stripe"
    make.grant(scene.org, 5000)
    owner, member = scene.people["owner"], scene.people["member"]
    orgs.member(scene.other, who=owner)
    by = make.spender(member, made_by="key_other")
    installing.install(webhook_url="http://127.0.0.1:9/webhooks/lago", now=timezone.now())
    catalogue.refresh(now=timezone.now())
    with transaction.atomic():
        purchase, _ = orders.place(
            organization=scene.org,
            order=orders.Order("credits-5000", None),
            idempotency_key="a key",
            by=Actor(kind="user", public_id=owner.public_id),
            now=timezone.now(),
        )
    subscribed, ending, leaving = (orgs.team(one, owner=owner) for one in ("Subscribed", "Ending", "Leaving"))
    orgs.Organization.objects.filter(pk=subscribed.pk).update(billing_email="bills@example.com")
    for one in (subscribed, ending, leaving):
        plans.subscribe(organization=one, plan_code="starter", by=SYSTEM, now=timezone.now())
    changing.cancel(organization=ending, by=SYSTEM, now=timezone.now())
    lago.drain()
    mirror.refresh(organization=subscribed, now=timezone.now())
    card = PaymentMethod(lago_id=uuid4(), organization=subscribed, is_default=True, synced_at=timezone.now())
    card.save()
    return {
        "INVOICE": str(LagoInvoice.objects.get(organization=subscribed).pk),
        "SUBSCRIBED": subscribed.public_id,
        "ENDING": ending.public_id,
        "LEAVING": leaving.public_id,
        "URL": "http://testserver",
        "ORG": scene.org.public_id,
        "USER": member.public_id,
        "DEPARTMENT": scene.department.public_id,
        "NEW_ORG": orgs.team("New", owner=owner).public_id,
        "PURCHASE": str(purchase.pk),
        "HOLD": str(make.held(scene.org, member, CreditsCost(Decimal(5), "gpt-4o"), by=by)),
        "CHARGE": str(make.charged(scene.org, member, 5, by=by)),
        "REQUEST": str(make.ask(scene.org, owner).pk),
        "BUDGET": str(make.budget(scene.org, 900).public_id),
        "MEMBER": orgs.personal_key(member).text,
        "PERSONAL": orgs.personal_key(owner).text,
        "ORGANIZATION": orgs.organization_key(scene.org).text,
        "PLATFORM": orgs.platform_key().text,
        "PERSONAL_ID": orgs.personal_key(owner).key.public_id,
        "ORGANIZATION_ID": orgs.organization_key(scene.org).key.public_id,
    }


def key_for(path: str) -> str:
    """Return the kind of key that the operation is for."""
    if path.endswith(("/introspect", "/billing/system")):
        return "PLATFORM"
    if path.endswith("/requests"):
        return "MEMBER"  # the owner's own is waiting
    return "ORGANIZATION" if path.startswith("/api/v1/usage") else "PERSONAL"


@pytest.mark.django_db
def test_every_curl_line_works_as_it_stands_and_answers_in_the_shape_that_is_promised(names):
    wrong = []
    for operation in OPERATIONS:
        kind = key_for(operation.path)
        key_id = names["PERSONAL_ID" if "/me/" in operation.path else "ORGANIZATION_ID"]
        with undone():
            answer = openapi.run(operation.curl, names | {"KEY": names[kind], "KEY_ID": key_id})
        if not 200 <= answer.status_code < 300:
            wrong.append(f"{operation}: {answer.status_code} {answer.content[:200]!r}")
            continue
        schema = openapi.answer_schema(operation, answer.status_code)
        if schema is None:
            assert answer.content == b"", operation
            continue
        wrong += [
            f"{operation}: {one.json_path} {one.message[:200]}"
            for one in jsonschema.Draft7Validator(schema).iter_errors(answer.json())
        ]
    assert not wrong, "\n".join(wrong)


@pytest.mark.django_db
def test_answers_to_less_common_calls_have_the_shape_that_is_promised_too(scene):
    """Replays, zero credits, a member's view, quotas, batches with refusals, and errors."""
    make.limit_calls(scene.org, day=50, month=500)
    member, owner, gateway = scene.key("membership"), scene.http("owner"), scene.key("organization")
    pool = "/org-billing/credits/{org_id}"
    spend = {"transaction_id": "t", "credits": "1"}
    free = {"transaction_id": "z", "credits": "0"}
    bulk = {"allocations": [{"user_id": scene.id_of("member"), "credits": "90"}]}
    calls = [
        ("POST", "/usage/holds", "", member, spend, 201), ("POST", "/usage/holds", "", member, spend, 200),
        ("POST", "/usage/holds", "", member, free, 201), ("POST", "/usage/charges", "", gateway, {**free, "transaction_id": "y"}, 201),
        ("POST", "/usage/charges/batch", "", member, {"charges": [spend, {**spend, "transaction_id": "b"}, {**spend, "credits": "x"}]}, 200),
        ("POST", "/usage/check", "", member, {"credits": "900"}, 200), ("POST", "/usage/holds", "", member, {**spend, "credits": "x"}, 422),
        ("POST", "/usage/holds", "", member, {**spend, "transaction_id": "n", "credits": "999"}, 402),
        ("GET", "/usage/holds", "", member, None, 200), ("GET", pool, scene.credits, member, None, 200),
        ("GET", pool, scene.credits, scene.http("manager"), None, 200), ("GET", pool, scene.credits, scene.http("outsider"), None, 404),
        ("GET", f"{pool}/usage", f"{scene.credits}/usage?group_by=user", member, None, 200),
        ("GET", f"{pool}/records", f"{scene.credits}/records", owner, None, 200),
        ("GET", f"{pool}/ledger", f"{scene.credits}/ledger?limit=2", owner, None, 200),
        ("POST", f"{pool}/allocate", f"{scene.credits}/allocate", owner, bulk, 200),
    ]  # fmt: skip
    by_name = {(one.method, one.path): one for one in OPERATIONS}
    for method, shape, path, client, body, status in calls:
        answer = client.send(method, path or shape, body)
        assert answer.status_code == status, (shape, answer.content)
        schema = openapi.answer_schema(by_name[method, f"/api/v1{shape}"], status)
        assert schema is not None
        jsonschema.Draft7Validator(schema).validate(answer.json())


class TestTheDocs:
    def test_load_without_a_request_to_another_host(self, client):
        answer = client.get("/api/docs/")
        assert answer.status_code == 200
        page = answer.content.decode() + client.get("/api/docs/?script=").content.decode()
        linked = re.findall(r"""(?:src|href|url)\s*[=:]\s*["']([^"']+)["']""", page)
        assert linked
        for one in linked:
            assert not re.match(r"(?:https?:)?//(?!testserver)", one), one
            if one.startswith("/static/"):
                assert finders.find(one.removeprefix("/static/").partition("#")[0]), one

    def test_run_no_inline_script_which_the_policy_would_stop(self, client):
        page = client.get("/api/docs/").content.decode()
        assert not re.search(r"<script(?![^>]*\bsrc=)[^>]*>\s*\S", page)
        assert "unsafe-inline" not in client.get("/api/docs/")["Content-Security-Policy"]


@pytest.mark.django_db
def test_an_operation_that_the_page_does_not_name_is_405_or_404(scene):
    known = {(one.method, one.path) for one in OPERATIONS}
    client = Http(key=scene.key_text("platform"))
    for path in sorted({path for _, path in known}):
        concrete = re.sub(
            r"\{(hold|charge|purchase|request|budget|invoice)_id\}",
            "00000000-0000-7000-8000-000000000000",
            path.removeprefix("/api/v1"),
        )
        concrete = re.sub(r"\{\w+\}", "x", concrete)
        for method in ("GET", "POST", "PUT", "PATCH", "DELETE"):
            if (method, path) not in known:
                assert client.send(method, concrete).status_code == 405, (method, path)
