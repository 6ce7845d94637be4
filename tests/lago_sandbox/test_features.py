"""Features, what plans and subscriptions entitle to, past usage, and the address of Lago's own portal."""

from urllib.parse import urlsplit


def test_a_subscription_has_its_plans_values_unless_its_own_take_their_place(shop):
    privileges = [{"code": "max", "value_type": "integer"}, {"code": "level", "value_type": "select", "config": {"select_options": ["low", "high"]}}]  # fmt: skip
    shop.post("features", feature={"code": "seats", "name": "Seats", "privileges": privileges})
    shop.post("features", feature={"code": "sso"})
    assert shop.refused("POST", "features", json={"feature": {"code": "sso"}})[1] == {
        "code": ["value_already_exist"]
    }
    shop.plan("starter", 1900)
    shop.customer()
    shop.subscribe("starter")
    wrong = {"entitlements": {"seats": {"level": "medium"}}}
    assert shop.refused("POST", "plans/starter/entitlements", json=wrong)[0] == 422
    missing = {"entitlements": {"seats": {"min": 1}}}
    assert shop.refused("POST", "plans/starter/entitlements", json=missing) == (404, "privilege_not_found")
    shop.post("plans/starter/entitlements", entitlements={"seats": {"max": 5}})
    shop._ask("PATCH", "plans/starter/entitlements", json={"entitlements": {"sso": {}}})
    shop._ask("PATCH", "subscriptions/sub_1/entitlements", json={"entitlements": {"seats": {"max": 9}}})
    seats, sso = shop.get("subscriptions/sub_1/entitlements")["entitlements"]
    [most] = seats["privileges"]
    assert (most["value"], most["plan_value"], most["override_value"]) == (9, 5, 9)
    assert (seats["overrides"], sso["code"]) == ({"max": 9}, "sso")
    assert shop.get("subscriptions/sub_1")["subscription"]["entitlements"][0]["code"] == "seats"
    assert shop.get("plans/starter")["plan"]["entitlements"][0]["privileges"][0]["value"] == 5
    shop.delete("subscriptions/sub_1/entitlements/seats")
    assert [one["code"] for one in shop.get("subscriptions/sub_1/entitlements")["entitlements"]] == ["sso"]
    shop.post("plans/starter/entitlements", entitlements={"seats": {"max": 3}})  # POST replaces
    assert [one["code"] for one in shop.get("plans/starter/entitlements")["entitlements"]] == ["seats"]
    shop.put("features/sso", feature={"name": "Single sign-on"})
    assert shop.get("features/sso")["feature"]["name"] == "Single sign-on"
    shop.delete("features/sso")
    assert [one["code"] for one in shop.get("features")["features"]] == ["seats"]


def test_past_usage_comes_from_invoices(shop):
    shop.lago.set_clock("2027-11-01T09:00:00Z")
    shop.plan("priced", 1900, price="0.5")
    shop.customer()
    shop.subscribe("priced")
    shop.event("t1", properties={"credits": "3"})
    path = "customers/org_1/past_usage"
    assert shop.refused("GET", path) == (422, {"external_subscription_id": ["value_is_mandatory"]})
    assert shop.get(path, external_subscription_id="sub_1")["usage_periods"] == []
    shop.lago.set_clock("2027-12-02T00:00:00Z")
    [period] = shop.get(path, external_subscription_id="sub_1")["usage_periods"]
    assert (period["amount_cents"], period["charges_usage"][0]["units"]) == (150, "3.0")
    assert shop.get("customers/none/past_usage", external_subscription_id="sub_1")["usage_periods"] == []


def test_a_customer_has_an_address_in_lagos_own_portal(shop):
    shop.customer()
    url = shop.get("customers/org_1/portal_url")["customer"]["portal_url"]
    assert urlsplit(url).path.startswith("/customer-portal/")
    assert shop.refused("GET", "customers/none/portal_url") == (404, "customer_not_found")
