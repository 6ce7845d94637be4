"""What a plan page shows and does: the plan or the way to one, invoices, another plan (workflows 4, 5, 6 and 11)."""

import lago_sync
from examples import portal


def show(org_id: str) -> None:
    subscription = lago_sync.get_subscription(org_id)
    if subscription is None:
        print("No plan yet: choose one under /orgs/<slug>/plan/")
        return
    print(f"{subscription['plan_code']} ({subscription['status']}), as of {subscription['as_of'][:16]}")
    for invoice in lago_sync.get_invoices(org_id, limit=5):
        print(f"  {invoice['number']}: {invoice['total_amount']} {invoice['currency']}")


def change(org_id: str, plan_code: str) -> None:
    try:
        changed = lago_sync.change_plan(org_id, plan_code)
    except lago_sync.LagoUnavailable:
        print("The billing engine does not answer; the change is made as soon as it does. Ask again.")
    except lago_sync.LagoRefused as error:  # the portal or Lago said no, and nothing was done
        print(f"Not changed: {error} {error.codes}")
    else:
        print(f"Now {changed['plan_code']}, then {changed['next_plan_code'] or 'the same'}")


def main() -> None:
    org_id = portal.new_id()
    show(org_id)
    lago_sync.subscribe_org_to_plan(
        org_id, "starter", "Example Ltd", f"billing@{org_id.replace('_', '-')}.example"
    )
    show(org_id)
    change(org_id, "enterprise_annual")  # costs more: at once, the rest of the month is credited
    change(org_id, "starter")  # costs less: from the period's end on
    change(org_id, "platinum")  # is no plan

    # The old way, without proration: end it and start anew.
    lago_sync.terminate_subscription(org_id)
    lago_sync.create_subscription(org_id, "professional")
    show(org_id)


if __name__ == "__main__":
    main()
