"""The pool and sharing it out through the API: allocate, change, revoke, list."""

from datetime import timedelta
from decimal import Decimal

import pytest

from credits.ledger import statements
from credits.models import Allocation, LedgerEntry
from orgs.audit.models import AuditEvent
from tests.factories import credits as make
from tests.factories import orgs
from tests.factories.api import Http, done, refused

pytestmark = pytest.mark.django_db

POOL = {
    "org_id", "available", "held", "reserved", "allocated", "used", "granted", "expired", "withdrawn", "shortfall_open",
    "overdraft_limit", "value_cents", "currency", "allocation_percentage", "usage_percentage", "runway_days", "runway_state", "next_expiry",
    "quota", "departments",
}  # fmt: skip
ALLOCATION = {
    "user_id", "email", "name", "department", "source", "allocated", "used", "held", "remaining", "usage_percentage",
    "reset_period", "next_reset_at", "expires_at", "status", "is_active", "limited",
}  # fmt: skip


@pytest.fixture
def owner(scene) -> Http:
    return scene.http("owner")


def share(client, scene, who="member", credits="40", **fields):
    headers = {name: fields.pop(name) for name in list(fields) if name[0].isupper()}
    return client.post(
        f"{scene.credits}/allocate", {"user_id": scene.id_of(who), "credits": credits, **fields}, **headers
    )


class TestThePool:
    def test_shows_every_figure_by_its_name(self, scene, owner):
        body = done(owner.ask(scene.credits))
        assert set(body) == POOL
        assert body["granted"] == "1000"
        assert body["available"] == "650"
        assert body["value_cents"] == 650
        assert body["currency"] == "USD"
        [department] = body["departments"]
        assert {"id", "name", "available", "held", "used", "allocated"} <= set(department)
        assert department["available"] == "120"

    def test_figures_add_up_to_what_was_granted_whatever_happened(self, scene, owner):
        member = scene.people["member"]
        make.held(scene.org, member, 7)
        make.reversal(make.charged(scene.org, member, 13), 2)
        make.charged(scene.org, scene.people["poolspender"], "0.000001")
        make.captured(make.held(scene.org, scene.people["engineer"], 5), 6)
        make.revoke(scene.org, scene.people["colleague"])
        body = done(owner.ask(scene.credits))
        parts = [body, *body["departments"]]
        figures = [
            sum(Decimal(one["available"]) for one in parts),
            *(Decimal(body[name]) for name in ("held", "reserved", "used")),
        ]
        assert (
            sum(figures)
            == Decimal(body["granted"]) - Decimal(body["expired"]) - Decimal(body["withdrawn"])
            == 1000
        )
        listed = done(owner.ask(f"{scene.credits}/allocations?limit=100"))["data"]
        for one in listed:
            if one["is_active"]:
                assert Decimal(one["allocated"]) == sum(
                    Decimal(one[name]) for name in ("used", "held", "remaining")
                )
        assert sum(Decimal(one["remaining"]) for one in listed) == Decimal(body["reserved"])

    def test_of_another_organization_is_404(self, scene, owner):
        refused(owner.ask(f"/org-billing/credits/{scene.other.public_id}"), 404, "not_found")
        refused(owner.ask(scene.credits, X_Organization=scene.other.public_id), 400, "invalid_request")


class TestAllocating:
    def test_sets_the_amount_and_answers_with_both_that_changed(self, scene, owner):
        body = done(share(owner, scene, credits="140"))
        assert set(body) == {"allocation", "pool"}
        assert set(body["allocation"]) == ALLOCATION
        assert (body["allocation"]["allocated"], body["pool"]["available"]) == ("140", "610")

    def test_adds_with_mode_add(self, scene, owner):
        assert done(share(owner, scene, credits="0.5", mode="add"))["allocation"]["allocated"] == "100.5"

    def test_a_first_one_is_201(self, scene, owner):
        assert done(share(owner, scene, who="poolspender"), 201)["allocation"]["remaining"] == "40"

    def test_lowering_returns_the_difference_but_not_below_what_is_used_and_held(self, scene, owner):
        make.charged(scene.org, scene.people["member"], 30)
        make.held(scene.org, scene.people["member"], 20)
        details = refused(share(owner, scene, credits="49.999999"), 409, "allocation_in_use")
        assert details == {"used": "30", "held": "20"}
        assert done(share(owner, scene, credits="50"))["pool"]["available"] == "700"

    def test_more_than_the_pool_has_is_402_of_the_pool(self, scene, owner):
        details = refused(share(owner, scene, credits="750.000001"), 402, "insufficient_credits")
        assert details["limit"] == {
            "kind": "pool", "scope": scene.org.public_id, "needed": "650.000001", "remaining": "650", "resets_at": None,
        }  # fmt: skip
        assert done(share(owner, scene, credits="750"))["pool"]["available"] == "0"

    def test_is_audited_with_before_after_and_who(self, scene, owner):
        done(share(owner, scene, credits="140"))
        event = AuditEvent.objects.filter(action="credits.allocated").latest("pk")
        assert (event.before, event.after) == ({"allocated": "100"}, {"allocated": "140"})
        assert event.actor == scene.id_of("owner")

    def test_finds_no_member_of_another_organization(self, scene, owner):
        refused(share(owner, scene, who="outsider"), 404, "not_found")

    def test_of_a_personal_organization_is_409(self, scene):
        from orgs import organizations

        alone = orgs.user("Solo Person")
        own = organizations.personal_for(user=alone)
        make.grant(own, 5)
        body = {"user_id": alone.public_id, "credits": "1"}
        refused(
            Http(user=alone).post(f"/org-billing/credits/{own.public_id}/allocate", body), 409, "conflict"
        )


class TestManyAtOnce:
    def test_gives_all(self, scene, owner):
        rows = [
            {"user_id": scene.id_of("member"), "credits": "10", "mode": "add"},
            {"user_id": scene.id_of("poolspender"), "credits": "5", "notes": "for the trial"},
        ]
        body = done(owner.post(f"{scene.credits}/allocate", {"allocations": rows}), 201)
        assert [one["allocated"] for one in body["allocations"]] == ["110", "5"]
        assert body["pool"]["available"] == "635"
        assert done(owner.post(f"{scene.credits}/allocate", {"allocations": rows}), 200)

    @pytest.mark.parametrize(
        ("row", "status"),
        [
            ({"user_id": "poolspender", "credits": "641"}, 402),
            ({"user_id": "outsider", "credits": "1"}, 404),
            ({"user_id": "member", "credits": "1"}, 422),
            ({"user_id": "colleague", "credits": "-1"}, 422),
            ({"user_id": "colleague"}, 422),
        ],
    )
    def test_gives_nobody_anything_where_one_line_is_refused(self, scene, owner, row, status):
        entries, events = LedgerEntry.objects.count(), AuditEvent.objects.count()
        rows = [
            {"user_id": scene.id_of("member"), "credits": "110"},
            row | {"user_id": scene.id_of(row["user_id"])},
        ]
        refused(owner.post(f"{scene.credits}/allocate", {"allocations": rows}), status)
        assert make.allocation(scene.org, scene.people["member"]).allocated == 100
        assert (LedgerEntry.objects.count(), AuditEvent.objects.count()) == (entries, events)
        assert not Allocation.objects.filter(
            organization=scene.org, user=scene.people["poolspender"]
        ).exists()

    def test_a_manager_may_give_nobody_outside_the_department_anything(self, scene):
        rows = [{"user_id": scene.id_of(who), "credits": "81"} for who in ("engineer", "member")]
        refused(scene.http("manager").post(f"{scene.credits}/allocate", {"allocations": rows}), 403)
        assert make.allocation(scene.org, scene.people["engineer"]).allocated == 80

    def test_of_more_than_a_thousand_is_422(self, scene, owner):
        rows = [{"user_id": f"usr_{number}", "credits": "1"} for number in range(1001)]
        refused(owner.post(f"{scene.credits}/allocate", {"allocations": rows}), 422, "validation_error")


class TestAnIdempotencyKey:
    def test_repeats_the_first_answer_and_moves_nothing(self, scene, owner):
        first = share(owner, scene, mode="add", Idempotency_Key="one")
        make.charged(scene.org, scene.people["member"], 1)
        again = share(owner, scene, mode="add", Idempotency_Key="one")
        assert (again.status_code, again.json()) == (first.status_code, first.json())
        assert again["Idempotent-Replayed"] == "true"
        assert "Idempotent-Replayed" not in first
        assert make.allocation(scene.org, scene.people["member"]).allocated == 140

    def test_with_another_body_is_409(self, scene, owner):
        done(share(owner, scene, mode="add", Idempotency_Key="one"))
        refused(
            share(owner, scene, credits="41", mode="add", Idempotency_Key="one"), 409, "idempotency_conflict"
        )

    def test_is_of_one_caller_method_and_path(self, scene, owner):
        done(share(owner, scene, mode="add", Idempotency_Key="one"))
        assert "Idempotent-Replayed" not in share(
            scene.http("admin"), scene, mode="add", Idempotency_Key="one"
        )
        path = f"{scene.credits}/allocations/{scene.id_of('member')}"
        assert "Idempotent-Replayed" not in owner.send("DELETE", path, Idempotency_Key="one")
        assert owner.send("DELETE", path, Idempotency_Key="one")["Idempotent-Replayed"] == "true"

    def test_of_a_refused_request_may_succeed_later(self, scene, owner):
        refused(share(owner, scene, credits="5000", Idempotency_Key="one"), 402)
        make.grant(scene.org, 5000)
        done(share(owner, scene, credits="5000", Idempotency_Key="one"))


class TestChangingOne:
    def path(self, scene, who="member"):
        return f"{scene.credits}/allocations/{scene.id_of(who)}"

    def test_is_seen_by_itself(self, scene, owner):
        body = done(owner.ask(self.path(scene)))
        assert set(body) == ALLOCATION
        assert (body["source"], body["department"], body["is_active"]) == ("organization", None, True)
        engineer = done(owner.ask(self.path(scene, "engineer")))
        assert engineer["source"] == "department"
        assert engineer["department"] == {"id": scene.department.public_id, "name": "Research"}

    def test_patch_changes_the_amount(self, scene, owner):
        assert done(owner.send("PATCH", self.path(scene), {"credits": "7"}))["allocation"]["allocated"] == "7"

    def test_delete_returns_all_that_is_unspent_and_is_a_limit_of_zero(self, scene, owner):
        make.charged(scene.org, scene.people["member"], 30)
        body = done(owner.send("DELETE", self.path(scene)))
        assert body["pool"]["available"] == "720"
        assert (body["allocation"]["is_active"], body["allocation"]["limited"]) == (False, True)
        answer = scene.key("membership").post("/usage/holds", {"transaction_id": "t", "credits": "1"})
        assert refused(answer, 402)["limit"]["remaining"] == "0"

    def test_limited_false_lets_the_member_spend_from_the_pool(self, scene, owner):
        body = done(owner.send("PATCH", self.path(scene), {"limited": False}))
        assert body["allocation"]["limited"] is False
        answer = scene.key("membership").post("/usage/holds", {"transaction_id": "t", "credits": "500"})
        assert done(answer, 201)["payer"]["kind"] == "pool"

    def test_a_member_without_one_is_404(self, scene, owner):
        for method, body in (("GET", None), ("DELETE", None), ("PATCH", {"limited": False})):
            refused(owner.send(method, self.path(scene, "poolspender"), body), 404, "not_found")


class TestTerms:
    def path(self, scene, who="member"):
        return f"{scene.credits}/allocations/{scene.id_of(who)}"

    def test_are_set_with_the_amount_kept_by_a_change_that_does_not_name_them_and_taken_off_by_name(
        self, scene, owner
    ):
        ahead = "2036-01-31T23:00:00Z"
        body = done(share(owner, scene, credits="140", reset_period="monthly", expires_at=ahead))[
            "allocation"
        ]
        assert (body["reset_period"], body["expires_at"], body["status"]) == ("monthly", ahead, "active")
        assert body["next_reset_at"].endswith("Z")
        kept = done(owner.send("PATCH", self.path(scene), {"credits": "7"}))["allocation"]
        assert (kept["reset_period"], kept["expires_at"], kept["next_reset_at"]) == (
            "monthly", ahead, body["next_reset_at"],
        )  # fmt: skip
        only = done(owner.send("PATCH", self.path(scene), {"reset_period": "never", "expires_at": None}))
        assert (only["allocation"]["allocated"], only["allocation"]["next_reset_at"]) == ("7", None)
        assert only["allocation"]["expires_at"] is None

    def test_take_a_time_of_any_offset_and_answer_in_utc(self, scene, owner):
        body = done(share(owner, scene, credits="140", expires_at="2036-02-01T00:00:00+16:00"))
        assert body["allocation"]["expires_at"] == "2036-01-31T08:00:00Z"

    @pytest.mark.parametrize(
        "terms",
        [{"reset_period": "yearly"}, {"expires_at": "2020-01-01T00:00:00Z"}, {"expires_at": "tomorrow"},
         {"expires_at": "2036-01-31"}, {"expires_at": 5}, {"expires_at": "9999-12-31T23:59:59-23:59"}],
    )  # fmt: skip
    def test_that_cannot_be_are_422(self, scene, owner, terms):
        [name] = terms
        assert name in refused(share(owner, scene, **terms), 422, "validation_error")
        assert name in refused(owner.send("PATCH", self.path(scene), terms), 422, "validation_error")

    def test_alone_change_nothing_for_who_has_none(self, scene, owner):
        path = self.path(scene, "poolspender")
        refused(owner.send("PATCH", path, {"reset_period": "daily"}), 404, "not_found")
        refused(owner.send("PATCH", path, {}), 422, "validation_error")

    def test_a_look_finds_what_is_due_restored_and_what_is_over_closed(self, scene, owner):
        member, engineer = scene.people["member"], scene.people["engineer"]
        make.charged(scene.org, member, 30)
        done(share(owner, scene, credits="100", reset_period="daily"))
        make.allocate(scene.org, engineer, 80, expires_at=statements.clock() + timedelta(hours=5))
        with make.later("2 days"):
            found = done(owner.ask(f"{scene.credits}/allocations"))["data"]
            seen = {one["user_id"]: (one["used"], one["remaining"], one["status"]) for one in found}
            assert seen[member.public_id] == ("0", "100", "active")
            assert seen[engineer.public_id] == ("0", "0", "expired")
            assert done(owner.ask(scene.credits))["reserved"] == "150"

    def test_the_list_narrows_to_a_status(self, scene, owner):
        make.revoke(scene.org, scene.people["colleague"])
        make.revoke(scene.org, scene.people["engineer"], limited=False)
        make.charged(scene.org, scene.people["member"], 100)
        for status, who in (("revoked", "colleague"), ("open_to_pool", "engineer"), ("exhausted", "member")):
            [one] = done(owner.ask(f"{scene.credits}/allocations?status={status}"))["data"]
            assert (one["user_id"], one["status"]) == (scene.id_of(who), status)


class TestTheList:
    def test_has_filters_search_and_pages(self, scene, owner):
        make.charged(scene.org, scene.people["member"], 95)
        make.revoke(scene.org, scene.people["colleague"])

        def users(query: str) -> set[str]:
            return {one["user_id"] for one in done(owner.ask(f"{scene.credits}/allocations?{query}"))["data"]}

        member, colleague, engineer = (scene.id_of(who) for who in ("member", "colleague", "engineer"))
        assert users("") == {member, colleague, engineer}
        assert users("status=closed") == {colleague}
        assert users("status=active") == {member, engineer}
        assert users("status=attention") == {member}
        assert users(f"department_id={scene.department.public_id}") == {engineer}
        assert users(f"search={scene.people['member'].email}") == {member}
        assert users("search=%25") == set()
        first = done(owner.ask(f"{scene.credits}/allocations?limit=2"))
        assert first["pagination"] == {"total": 3, "limit": 2, "offset": 0, "has_more": True}
        rest = done(owner.ask(f"{scene.credits}/allocations?limit=2&offset=2"))
        assert rest["pagination"]["has_more"] is False
        assert {one["user_id"] for one in first["data"] + rest["data"]} == {member, colleague, engineer}
        assert done(owner.ask(f"{scene.credits}/allocations?offset=50"))["data"] == []
