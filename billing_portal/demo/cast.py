"""Who is in the demo: people, their teams, roles, departments, plans and shares."""

from dataclasses import dataclass, field
from typing import Final

PASSWORD: Final = "demo-pass-2026"  # noqa: S105 - printed by `make run`, and refused without DEBUG


@dataclass(frozen=True, slots=True, kw_only=True)
class Person:
    email: str
    name: str
    sees: str = ""
    """What `make run` says about signing in as this person; empty for extras who only fill tables."""
    is_staff: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Member:
    email: str
    role: str = "member"
    department: str = ""
    manages: str = ""
    credits: str = ""
    """The allocation; empty spends from a pool."""
    resets: str = "never"
    ends_in_days: int = 0
    """When the allocation expires; 0 is never."""
    daily_calls: int = 0
    yesterday: int = 1
    """How many times as many calls it was yesterday: one person's day stands out."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Ceiling:
    """A budget: of a department, a member or a model, or of the whole organization where none of them is named."""

    credits: str
    period: str
    is_hard: bool = False
    department: str = ""
    email: str = ""
    model: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """A member who asks for more; `outcome` is what became of it, empty while it waits."""

    email: str
    credits: str
    reason: str
    outcome: str = ""
    answer: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """What somebody bought: the code of a package, or a number of credits."""

    what: str
    outcome: str = "pay"
    """`pay` or `decline` on the payment page, `give_up` by its buyer, or nothing yet: it waits for payment."""
    refund: str = ""
    """Credits of it that staff refunded."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TopUp:
    """What a team buys by itself below a threshold, and for how much at most, in minor units."""

    below: str
    package: str
    day_cap_cents: int
    month_cap_cents: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Team:
    slug: str
    name: str
    owner: str
    plan: str
    orders: tuple[Order, ...]
    members: tuple[Member, ...]
    departments: dict[str, str] = field(default_factory=dict)
    """Department to the credits its pool was funded with; "0" is not funded."""
    time_zone: str = "UTC"
    standard: dict[str, str] = field(default_factory=dict)
    """Role to the credits a month that new members of it are given."""
    ceilings: tuple[Ceiling, ...] = ()
    wishes: tuple[Wish, ...] = ()
    alert_below: str = ""
    """When those who share out the organization's pool are told."""
    has_card: bool = False
    top_up: TopUp | None = None
    next_plan: str = ""
    """What it has planned to be on after the present period."""


EXTRAS: Final = tuple(
    Person(email=f"{first.lower()}.{last.lower()}@acme.example", name=f"{first} {last}")
    for first in ("Ada", "Bo", "Cleo", "Dev", "Eli", "Fay", "Gus", "Hana", "Ivo", "Jun", "Kai", "Lea")
    for last in ("Berg", "Cruz", "Dahl", "Eng", "Frey", "Good", "Holt", "Ito", "Jay")
)
"""Enough to make an enterprise of 120 with the five who sign in, a build agent and those of other stories."""

PEOPLE: Final = (
    Person(
        email="sysadmin@example.com",
        name="Sam Admin",
        sees="every organization, and Django admin",
        is_staff=True,
    ),
    Person(email="owner@acme.example", name="Olga Owner", sees="Acme, an enterprise of 120, as its owner"),
    Person(email="admin@acme.example", name="Abel Admin", sees="Acme as an admin"),
    Person(email="billing@acme.example", name="Bianca Billing", sees="Acme as a billing admin"),
    Person(email="manager@acme.example", name="Milo Manager", sees="Acme as the manager of Engineering"),
    Person(email="member@acme.example", name="Mia Member", sees="her allocation of 1,000 credits at Acme"),
    Person(
        email="consultant@example.com", name="Cora Consultant", sees="three teams, and switches between them"
    ),
    Person(email="solo@example.com", name="Solo Smith", sees="a personal organization, nobody else's"),
    Person(
        email="outsider@globex.example", name="Otto Outsider", sees="Globex as its owner; nothing of Acme"
    ),
    Person(
        email="founder@sprout.example",
        name="Fia Founder",
        sees="Sprout, a small team in Berlin, as its owner",
    ),
    Person(email="ben@sprout.example", name="Ben Backend"),
    Person(email="dora@sprout.example", name="Dora Design"),
    Person(email="ned@sprout.example", name="Ned Numbers"),
    *EXTRAS,
)

_DEPARTMENTS: Final = ("Engineering", "Marketing", "Sales", "Support")

_SMALL: Final = {0: "350", 1: "290", 3: "420", 6: "250"}
"""Shares that four weeks of use nearly or wholly eat up, so that every state of a bar is on screen."""

_UNUSUAL: Final = 12
"""Whose yesterday is far above their usual days."""

_ACME_EXTRAS: Final = tuple(
    Member(
        email=person.email,
        department=_DEPARTMENTS[index % 4],
        credits=_SMALL.get(index, ("800", "400", "")[index % 3]) if index < 60 else "",
        daily_calls=(6, 4, 2)[index % 3] if index < 18 else 0,
        yesterday=9 if index == _UNUSUAL else 1,
    )
    for index, person in enumerate(EXTRAS)
)

TEAMS: Final = (
    Team(
        slug="acme",
        name="Acme",
        owner="owner@acme.example",
        plan="enterprise",
        orders=(
            Order(what="credits-50000"),
            Order(what="credits-50000"),
            Order(what="credits-10000", outcome=""),
        ),
        departments={"Engineering": "40000", "Marketing": "15000", "Sales": "10000", "Support": "0"},
        members=(
            Member(email="owner@acme.example", role="owner", daily_calls=1),
            Member(email="admin@acme.example", role="admin", department="Support"),
            Member(email="billing@acme.example", role="billing_admin"),
            Member(
                email="manager@acme.example",
                department="Engineering",
                manages="Engineering",
                credits="2000",
                resets="monthly",
                daily_calls=5,
            ),
            Member(
                email="member@acme.example",
                department="Engineering",
                credits="1000",
                resets="monthly",
                daily_calls=9,
            ),
            Member(
                email="consultant@example.com",
                department="Marketing",
                credits="500",
                ends_in_days=45,
                daily_calls=3,
            ),
            *_ACME_EXTRAS,
        ),
        standard={"member": "250"},
        ceilings=(
            Ceiling(credits="20000", period="month"),
            Ceiling(credits="2500", period="week", department="Engineering"),
            Ceiling(credits="250", period="day", model="claude-sonnet-4"),
            Ceiling(credits="6000", period="month", department="Marketing", is_hard=True),
            Ceiling(credits="900", period="month", email="manager@acme.example", is_hard=True),
        ),
        wishes=(
            Wish(
                email="member@acme.example",
                credits="500",
                reason="The evaluation of the new assistant runs until Friday.",
            ),
            Wish(email="bo.berg@acme.example", credits="200", reason="Two more translations a day."),
            Wish(
                email="consultant@example.com",
                credits="300",
                reason="The launch needs twenty more pictures.",
                outcome="approve",
                answer="Good luck with the launch.",
            ),
            Wish(
                email="cleo.berg@acme.example",
                credits="5000",
                reason="To try everything.",
                outcome="decline",
                answer="Please try the small model first.",
            ),
        ),
        alert_below="30000",
        has_card=True,
        top_up=TopUp(below="5000", package="credits-10000", day_cap_cents=16_000, month_cap_cents=40_000),
    ),
    Team(
        slug="sprout",
        name="Sprout",
        owner="founder@sprout.example",
        plan="starter",
        orders=(Order(what="credits-5000"),),
        members=(
            Member(email="founder@sprout.example", role="owner", credits="1000", daily_calls=4),
            Member(email="ben@sprout.example", credits="1000", daily_calls=12),
            Member(email="dora@sprout.example", credits="120", daily_calls=5),
            Member(email="ned@sprout.example", credits="1000", daily_calls=2),
            Member(email="consultant@example.com", credits="300", daily_calls=2),
        ),
        time_zone="Europe/Berlin",
    ),
    Team(
        slug="globex",
        name="Globex",
        owner="outsider@globex.example",
        plan="professional",
        orders=(
            Order(what="credits-10000"),
            Order(what="credits-10000", refund="2500"),
            Order(what="credits-5000", outcome="decline"),
            Order(what="credits-1000", outcome="give_up"),
        ),
        members=(
            Member(email="outsider@globex.example", role="owner", daily_calls=5),
            Member(email="consultant@example.com", daily_calls=3),
        ),
        time_zone="America/New_York",
        next_plan="starter",
    ),
)

SOLO: Final = "solo@example.com"
SOLO_ORDERS: Final = (Order(what="500"),)
