"""From a customer that is a user to one that is an organization (workflow 7). `manage.py migrate_users_to_orgs` does many."""

import secrets

import lago_sync
from examples import portal
from lago_sync.client import customers


def main() -> None:
    user_id = f"user_{secrets.token_hex(6)}"
    customers.upsert(
        {"external_id": user_id, "name": "A person", "currency": "USD"}
    )  # as an older system left it
    org_id = portal.new_id()
    print(f"{user_id} is an organization's: {lago_sync.is_org_customer(user_id)}")
    for _ in range(2):  # the second call finds it done
        done = lago_sync.migrate_user_to_org(
            user_id, org_id, "Example Ltd", f"{user_id.replace('_', '-')}@example.com"
        )
        print(f"{user_id} -> {done['org_id']}: {done['status']}" if done else "Lago knows no such customer")
    print(f"{org_id} is an organization's: {lago_sync.is_org_customer(org_id)}")


if __name__ == "__main__":
    main()
