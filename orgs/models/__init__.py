"""Facts of `orgs`. The rules that change them stand in the topic modules beside this package."""

from orgs.models.departments import Department, DepartmentManager
from orgs.models.idempotency import IdempotentAnswer
from orgs.models.keys import AccessKey
from orgs.models.organizations import Membership, Organization
from orgs.models.plans import Plan, PlanFee, Subscription
from orgs.models.users import User

__all__ = [
    "AccessKey",
    "Department",
    "DepartmentManager",
    "IdempotentAnswer",
    "Membership",
    "Organization",
    "Plan",
    "PlanFee",
    "Subscription",
    "User",
]
