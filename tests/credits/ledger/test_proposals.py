"""Up to a threshold one system admin grants, above it two (product.md §9 «Plan credits», contract.md §4.1)."""

from datetime import timedelta
from decimal import Decimal
from uuid import uuid4

import pytest
from django.db import transaction

from credits.ledger import proposals
from credits.ledger.proposals import ProposalConflict
from credits.models import Grant, ProposedGrant
from kit.errors import NotFound, PermissionDenied, ValidationError
from orgs.audit.events import Actor
from orgs.audit.models import AuditEvent
from tests.factories import credits as make

pytestmark = pytest.mark.django_db

ANN, BOB = (Actor(kind="user", public_id=f"usr_{name}") for name in ("ann", "bob"))


@pytest.fixture(autouse=True)
def _threshold(settings):
    settings.GRANT_APPROVAL_THRESHOLD = 1000


@pytest.fixture
def team():
    return make.team()


def propose(team, credits=1001, *, by=ANN, **terms):
    asked = {"source": "goodwill", "reference": "one", "reason": "an outage"}
    with transaction.atomic():
        return proposals.propose(organization=team, credits=Decimal(str(credits)), by=by, **(asked | terms))


def decide(verb, proposal, by=BOB):
    with transaction.atomic():
        return verb(proposal_id=proposal.pk, by=by)


def test_at_the_threshold_is_granted_at_once(team):
    made = propose(team, 1000)
    assert (type(made), made.granted_by, make.pool(team).available) == (Grant, ANN.public_id, 1000)


def test_a_step_above_it_waits(team):
    made = propose(team, "1000.000001")
    assert (type(made), made.status, made.proposed_by) == (ProposedGrant, "pending", ANN.public_id)
    assert not Grant.objects.exists()
    assert AuditEvent.objects.filter(action="credits.grant_proposed").count() == 1


def test_another_admin_approves_it(team):
    proposal = propose(team)
    grant = decide(proposals.approve, proposal)
    proposal.refresh_from_db()
    assert (proposal.status, proposal.decided_by, proposal.grant) == ("approved", BOB.public_id, grant)
    assert (grant.credits, grant.source, grant.reason, make.pool(team).available) == (1001, "goodwill", "an outage", 1001)  # fmt: skip


def test_a_second_click_approves_nothing_twice(team):
    proposal = propose(team)
    assert decide(proposals.approve, proposal) == decide(proposals.approve, proposal)
    assert make.pool(team).available == 1001


@pytest.mark.parametrize("verb", [proposals.approve, proposals.decline])
def test_its_proposer_cannot_decide(team, verb):
    proposal = propose(team)
    with pytest.raises(PermissionDenied):
        decide(verb, proposal, by=ANN)
    proposal.refresh_from_db()
    assert (proposal.status, make.pool(team).available if Grant.objects.exists() else 0) == ("pending", 0)


def test_another_admin_declines_it_for_good(team):
    proposal = propose(team)
    assert decide(proposals.decline, proposal).status == "declined"
    assert decide(proposals.decline, proposal).status == "declined"
    with pytest.raises(ProposalConflict):
        decide(proposals.approve, proposal)
    assert not Grant.objects.exists()


def test_an_approved_one_cannot_be_declined(team):
    proposal = propose(team)
    decide(proposals.approve, proposal)
    with pytest.raises(ProposalConflict):
        decide(proposals.decline, proposal)


def test_proposed_again_is_the_same_one(team):
    first = propose(team)
    assert propose(team).pk == first.pk
    assert AuditEvent.objects.filter(action="credits.grant_proposed").count() == 1


@pytest.mark.parametrize("other", [{"credits": 1002}, {"expires": True}, {"reason": "a favour"}])
def test_proposed_again_with_other_terms_is_refused(team, other):
    propose(team)
    terms = dict(other)
    if terms.pop("expires", False):
        terms["expires_at"] = ProposedGrant.objects.get().proposed_at + timedelta(days=3)
    with pytest.raises(ProposalConflict):
        propose(team, **terms)


def test_below_the_threshold_cannot_reuse_the_reference_of_a_proposal(team):
    propose(team)
    with pytest.raises(ProposalConflict):
        propose(team, 10)
    assert not Grant.objects.exists()


@pytest.mark.parametrize(
    "wrong", [{"source": "purchase"}, {"source": "plan"}, {"credits": "0"}, {"reason": " "}]
)
def test_what_staff_may_not_grant_is_refused(team, wrong):
    with pytest.raises(ValidationError):
        propose(team, **wrong)


def test_an_unknown_one_is_not_found():
    with pytest.raises(NotFound), transaction.atomic():
        proposals.approve(proposal_id=uuid4(), by=BOB)


def test_approved_after_its_expiry_is_refused_and_stays_pending(team):
    soon = make.statements.clock() + timedelta(days=1)
    proposal = propose(team, expires_at=soon)
    with make.later("2 days"), pytest.raises(ValidationError):
        decide(proposals.approve, proposal)
    proposal.refresh_from_db()
    assert proposal.status == "pending"
