"""Customers: B14 to B18."""

import pytest


def test_b14_the_second_post_changes_only_the_keys_it_names(shop):
    first = shop.customer(email="bill@acme.example", country="DE")
    second = shop.post("customers", customer={"external_id": "org_1", "name": "Acme Ltd"})["customer"]
    assert second["lago_id"] == first["lago_id"]
    assert (second["name"], second["email"], second["country"]) == ("Acme Ltd", "bill@acme.example", "DE")
    assert shop.get("customers")["meta"]["total_count"] == 1


def test_b15_metadata_is_replaced_by_id(shop):
    first = shop.customer(metadata=[{"key": "tier", "value": "gold"}, {"key": "team", "value": "7"}])
    tier = next(one for one in first["metadata"] if one["key"] == "tier")
    kept = [{"id": tier["lago_id"], "key": "tier", "value": "silver"}, {"key": "zone", "value": "eu"}]
    second = shop.post("customers", customer={"external_id": "org_1", "metadata": kept})["customer"]
    assert {one["key"]: one["value"] for one in second["metadata"]} == {"tier": "silver", "zone": "eu"}
    assert (
        shop.post("customers", customer={"external_id": "org_1", "name": "A"})["customer"]["metadata"] != []
    )
    assert (
        shop.post("customers", customer={"external_id": "org_1", "metadata": []})["customer"]["metadata"]
        == []
    )


def test_b15_a_key_sent_again_without_its_id_is_422_and_takes_everything_back(shop):
    shop.customer(metadata=[{"key": "tier", "value": "gold"}])
    body = {"external_id": "org_1", "name": "Renamed", "metadata": [{"key": "tier", "value": "gold"}]}
    assert shop.refused("POST", "customers", json={"customer": body}) == (
        422,
        {"key": ["value_already_exist"]},
    )
    found = shop.get("customers/org_1")["customer"]
    assert (found["name"], [one["value"] for one in found["metadata"]]) == ("Acme", ["gold"])


@pytest.mark.parametrize(
    ("metadata", "details"),
    [
        ([{"key": f"k{n}", "value": "v"} for n in range(6)], {"metadata": ["invalid_count"]}),
        ([{"key": "k" * 21, "value": "v"}], {"key": ["value_is_too_long"]}),
        ([{"key": "k", "value": "v" * 101}], {"value": ["value_is_too_long"]}),
        ([{"key": "k", "value": " "}], {"value": ["value_is_mandatory"]}),
    ],
)
def test_b15_metadata_has_limits(shop, metadata, details):
    body = {"customer": {"external_id": "org_1", "metadata": metadata}}
    assert shop.refused("POST", "customers", json=body) == (422, details)
    assert shop.get("customers")["customers"] == []


def test_b15_metadata_as_an_object_is_dropped_in_silence(shop):
    assert shop.customer(metadata={"tier": "gold"})["metadata"] == []


@pytest.mark.parametrize(
    ("given", "details"),
    [
        ({"external_id": " "}, {"external_id": ["value_is_mandatory"]}),
        ({"external_id": "a", "currency": "EURO"}, {"currency": ["value_is_invalid"]}),
        ({"external_id": "a", "country": "Germany"}, {"country": ["not_a_valid_country_code"]}),
        ({"external_id": "a", "email": "nobody"}, {"email": ["invalid_email_format"]}),
        ({"external_id": "a", "name": "n" * 256}, {"name": ["value_is_too_long"]}),
    ],
)
def test_a_customer_is_checked(shop, given, details):
    assert shop.refused("POST", "customers", json={"customer": given}) == (422, details)


def test_b16_the_time_zone_is_ignored_without_a_licence(shop):
    found = shop.customer(timezone="Europe/Berlin")
    assert (found["timezone"], found["applicable_timezone"]) == (None, "UTC")


def test_b17_a_deleted_customers_id_is_free_and_its_relations_end_a_moment_later(shop):
    first = shop.customer()
    shop.plan("starter", 1900)
    shop.subscribe("starter")
    wallet = shop.wallet()
    shop.delete("customers/org_1")
    assert shop.refused("GET", "customers/org_1") == (404, "customer_not_found")
    second = shop.customer()
    assert second["lago_id"] != first["lago_id"]
    assert second["metadata"] == []
    shop.lago.drain()
    assert shop.refused("GET", "subscriptions/sub_1") == (404, "subscription_not_found")
    assert shop.get(f"wallets/{wallet['lago_id']}")["wallet"]["status"] == "terminated"


def test_b18_a_subscription_makes_an_unknown_customer_and_tells_nobody(shop, receiver):
    shop.endpoint(receiver.url)
    shop.plan("starter", 1900)
    shop.subscribe("starter", customer="org_new")
    shop.lago.drain()
    found = shop.get("customers/org_new")["customer"]
    assert (found["name"], found["currency"]) == (None, "USD")
    assert "subscription.started" in receiver.kinds
    assert "customer.created" not in receiver.kinds


def test_a_customer_without_a_provider_has_no_checkout_url(shop):
    shop.customer(provider=None)
    refused = (422, {"base": ["no_linked_payment_provider"]})
    assert shop.refused("POST", "customers/org_1/checkout_url") == refused
    shop.customer()
    assert shop.post("customers/org_1/checkout_url")["customer"]["checkout_url"].startswith(shop.lago.url)
    shop.lago.settings(psp=False)
    assert shop.refused("POST", "customers/org_1/checkout_url") == refused
