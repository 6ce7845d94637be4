"""Access keys: four kinds, kept as a hash, stopped at once."""

from datetime import timedelta

import pytest
from django.db import IntegrityError, connection, transaction
from django.utils import timezone

from kit.errors import ValidationError
from orgs import clock, memberships, organizations
from orgs.access import keys
from orgs.audit.events import SYSTEM
from orgs.audit.models import AuditEvent
from orgs.models import AccessKey, Membership, User
from tests.factories import orgs as make

pytestmark = pytest.mark.django_db


@pytest.fixture
def membership():
    return make.member(make.team())


@pytest.fixture(params=["membership", "personal", "organization", "platform"])
def issued(request, membership):
    return {
        "membership": lambda: make.membership_key(membership),
        "personal": lambda: make.personal_key(membership.user),
        "organization": lambda: make.organization_key(membership.organization),
        "platform": make.platform_key,
    }[request.param]()


def set_clock(offset: str) -> None:
    with connection.cursor() as cursor:
        cursor.execute("SELECT set_config('portal.clock_offset', %s, true)", [offset])


class TestIssue:
    def test_keeps_no_more_than_the_hash(self, issued):
        with connection.cursor() as cursor:
            cursor.execute("SELECT to_jsonb(k)::text FROM orgs_accesskey k WHERE id = %s", [issued.key.pk])
            row = cursor.fetchone()[0]
        assert issued.text.startswith(f"{issued.key.prefix}")
        assert issued.text[10:] not in row
        assert AuditEvent.objects.latest("pk").action == "key.issued"
        assert issued.text[10:] not in str(AuditEvent.objects.latest("pk").after)

    def test_makes_each_another(self):
        assert len({make.platform_key().text for _ in range(20)}) == 20

    @pytest.mark.parametrize(
        ("field", "terms"),
        [
            ("scopes", {"scopes": []}),
            ("scopes", {"scopes": ["usage:write", "root"]}),
            ("name", {"name": " "}),
            ("expires_at", {"expires_at": timezone.now() - timedelta(seconds=1)}),
            ("allowed_addresses", {"allowed_addresses": ["10.0.0.0/99"]}),
            ("allowed_addresses", {"allowed_addresses": ["10.0.0.1/8"]}),
        ],
    )
    def test_refuses(self, field, terms):
        with transaction.atomic(), pytest.raises(ValidationError) as refused:
            keys.issue_platform(terms=keys.Terms(**{"name": "k", "scopes": ["org:read"], **terms}), by=SYSTEM)
        assert set(refused.value.details) == {field}


class TestFind:
    def test_finds_the_key_with_all_it_names_in_one_query(self, issued, django_assert_num_queries):
        with django_assert_num_queries(1):
            key = keys.find(issued.text)
            assert key is not None
            named = (key.organization, key.user, key.membership)
        assert [one is not None for one in named] == {
            "membership": [True, True, True],
            "personal": [False, True, False],
            "organization": [True, False, False],
            "platform": [False, False, False],
        }[key.kind]

    def test_asks_nobody_about_a_typing_error(self, issued, django_assert_num_queries):
        wrong = "b" if issued.text[20] == "a" else "a"
        with django_assert_num_queries(0):
            for text in (
                "",
                "cpk_",
                issued.text[:-1],
                issued.text[:20] + wrong + issued.text[21:],
                "é" * 55,
                "\x00",
            ):
                assert keys.find(text) is None

    def test_finds_none_once_revoked(self, issued):
        with transaction.atomic():
            keys.revoke(key=issued.key, by=SYSTEM)
        assert keys.find(issued.text) is None
        assert keys.find_cached(issued.text) is None

    def test_finds_none_past_its_expiry_by_the_ledger_s_clock(self):
        issued = make.platform_key(expires_at=timezone.now() + timedelta(hours=1))
        assert keys.find(issued.text) is not None
        set_clock("59 minutes")
        assert keys.find(issued.text) is not None
        set_clock("61 minutes")
        assert keys.find(issued.text) is None

    def test_finds_none_of_a_member_who_left(self, membership):
        issued = make.membership_key(membership)
        Membership.objects.filter(pk=membership.pk).update(ended_at=timezone.now())
        assert keys.find(issued.text) is None

    def test_finds_none_of_a_user_who_was_locked_out(self, membership):
        issued = [make.membership_key(membership), make.personal_key(membership.user)]
        User.objects.filter(pk=membership.user.pk).update(is_active=False)
        assert [keys.find(one.text) for one in issued] == [None, None]

    def test_finds_none_of_an_archived_organization_but_those_of_a_suspended_one(self, membership):
        issued = [make.membership_key(membership), make.organization_key(membership.organization)]
        with transaction.atomic():
            organizations.suspend(organization=membership.organization, reason="test", by=SYSTEM)
        assert all(keys.find(one.text) for one in issued)
        with transaction.atomic():
            organizations.resume(organization=membership.organization, by=SYSTEM)
            organizations.archive(organization=membership.organization, by=SYSTEM)
        assert [keys.find(one.text) for one in issued] == [None, None]


class TestFindCached:
    def test_asks_the_database_once_in_three_seconds(self, issued, django_assert_num_queries, monkeypatch):
        now = [1000.0]
        monkeypatch.setattr("time.monotonic", lambda: now[0])
        with django_assert_num_queries(1):
            for _ in range(5):
                assert keys.find_cached(issued.text) == issued.key
        now[0] += 3.1
        with django_assert_num_queries(1):
            keys.find_cached(issued.text)

    def test_remembers_no_text_that_is_no_key(self, issued):
        other = make.platform_key()
        AccessKey.objects.filter(pk=other.key.pk).update(revoked_at=timezone.now())
        assert keys.find_cached(other.text) is None
        AccessKey.objects.filter(pk=other.key.pk).update(revoked_at=None)
        assert keys.find_cached(other.text) is not None

    def test_stays_small(self, monkeypatch):
        monkeypatch.setattr(keys, "_MEMORY_SIZE", 3)
        for _ in range(10):
            keys.find_cached(make.platform_key().text)
        assert len(keys._memory) <= 3


class TestFindAny:
    def test_knows_what_ends_a_hold_after_access_was_lost(self, membership):
        issued = make.membership_key(membership)
        with transaction.atomic():
            memberships.remove(membership=membership, by=SYSTEM, acting_as="owner")
        assert keys.find(issued.text) is None
        assert keys.find_any(issued.text) == issued.key

    def test_knows_no_text_that_never_was_a_key(self):
        assert keys.find_any("cpk_nothing") is None


class TestTouch:
    def test_writes_at_most_once_a_minute(self, issued, django_assert_num_queries):
        with django_assert_num_queries(1):
            keys.touch(issued.key)
            keys.touch(issued.key)
        first = AccessKey.objects.get(pk=issued.key.pk).last_used_at
        assert first is not None
        keys.forget_cached()  # another process, which does not know
        keys.touch(issued.key)
        assert AccessKey.objects.get(pk=issued.key.pk).last_used_at == first
        keys.forget_cached()
        set_clock("61 seconds")
        keys.touch(issued.key)
        later = AccessKey.objects.get(pk=issued.key.pk).last_used_at
        assert later is not None
        assert later > first


@pytest.mark.concurrency
@pytest.mark.django_db(transaction=True)
def test_touching_waits_for_nobody_who_holds_the_row():
    from threading import Thread

    issued = make.platform_key()
    with transaction.atomic():
        AccessKey.objects.select_for_update().get(pk=issued.key.pk)
        done = []

        def use():
            keys.touch(issued.key)
            done.append(True)
            connection.close()

        thread = Thread(target=use)
        thread.start()
        thread.join(timeout=1)  # the lock timeout is two seconds
        assert done == [True]


class TestAddresses:
    @pytest.mark.parametrize(
        ("allowed", "address", "status"),
        [
            ([], "198.51.100.7", 200),
            (["198.51.100.7"], "198.51.100.7", 200),
            (["198.51.100.0/24", "2001:db8::/32"], "2001:db8::1", 200),
            (["198.51.100.0/24"], "::ffff:198.51.100.9", 200),
            (["198.51.100.0/24"], "198.51.101.1", 403),
            (["198.51.100.0/24"], "", 403),
        ],
    )
    def test_are_where_a_key_may_be_used_from(self, api, allowed, address, status):
        key = make.platform_key(allowed_addresses=allowed).text
        answer = api(key=key).get("/api/v1/me", REMOTE_ADDR=address)
        assert answer.status_code == status

    def test_are_not_believed_from_a_header(self, api):
        key = make.platform_key(allowed_addresses=["198.51.100.7"]).text
        answer = api(key=key).get("/api/v1/me", headers={"X-Forwarded-For": "198.51.100.7"})
        assert answer.status_code == 403


class TestOverHttp:
    def test_a_key_stops_at_once_when_it_is_revoked_or_its_member_removed(self, api, membership):
        revoked, removed = make.personal_key(membership.user), make.membership_key(membership)
        clients = [api(key=one.text) for one in (revoked, removed)]
        assert [client.get("/api/v1/me").status_code for client in clients] == [200, 200]
        with transaction.atomic():
            keys.revoke(key=revoked.key, by=SYSTEM)
            memberships.remove(membership=membership, by=SYSTEM, acting_as="owner")
        assert [client.get("/api/v1/me").status_code for client in clients] == [401, 401]

    @pytest.mark.parametrize(
        "header", ["Bearer", "Bearer ", "Bearer x", "bearer cpk_x", "Bearer cpk_" + "a" * 5000]
    )
    def test_a_wrong_one_is_401_even_with_a_session(self, api, header):
        answer = api(user=make.user()).get("/api/v1/me", headers={"Authorization": header})
        assert answer.status_code == 401
        assert answer["WWW-Authenticate"] == "Bearer"


class TestDatabase:
    def test_refuses_a_kind_that_names_another_owner(self, issued):
        for kind in set(AccessKey.Kind.values) - {issued.key.kind}:
            with (
                pytest.raises(IntegrityError, match="access_key_names_the_owner_of_its_kind"),
                transaction.atomic(),
            ):
                AccessKey.objects.filter(pk=issued.key.pk).update(kind=kind)

    def test_refuses_a_membership_key_that_names_another_organization(self, membership):
        issued = make.membership_key(membership)
        AccessKey.objects.filter(pk=issued.key.pk).update(organization=make.team("Other"))
        with pytest.raises(IntegrityError, match="access_key_names_its_membership"):
            connection.check_constraints()
        transaction.set_rollback(True)

    def test_clock_follows_the_wall(self):
        assert abs(clock.read() - timezone.now()) < timedelta(seconds=5)
