"""Whether Lago is there and takes the key (workflow 10); exit 1 if not."""

import sys

import lago_sync
from examples import portal  # noqa: F401 - sets Django up


def main() -> None:
    found = lago_sync.check_lago_health()
    print(f"{found['status']}: {found['message']} ({found['api_url']})")
    if found["status"] != "healthy":
        sys.exit(1)


if __name__ == "__main__":
    main()
