"""An API of your own in the portal's process: guarded views, and each answer counted (workflows 8 and 9).

In your settings: a ROOT_URLCONF that includes the portal's, and `"lago_sync.middleware.TrackUsage"` behind authentication in MIDDLEWARE.
"""

from django.conf import settings
from django.contrib.auth import get_user_model
from django.http import HttpRequest, JsonResponse
from django.test import Client, override_settings
from django.urls import include, path

import lago_sync
from examples import portal
from lago_sync import require_active_subscription, require_usage_below


@require_active_subscription
@require_usage_below(3)
def chat(request: HttpRequest, org_id: str) -> JsonResponse:
    """Answer, and say in the headers what it took."""
    answer = JsonResponse({"answer": "Hello"})
    answer["X-Tokens-Used"] = "1500"
    answer["X-Model-Used"] = "gpt-4o"
    return answer


urlpatterns = [path("v1/<str:org_id>/chat", chat), path("", include("billing_portal.urls"))]


def main() -> None:
    org_id = portal.new_id()
    email = f"billing@{org_id.replace('_', '-')}.example"
    lago_sync.create_org_customer(org_id, "Example Ltd", email)
    middleware = [*settings.MIDDLEWARE, "lago_sync.middleware.TrackUsage"]
    with override_settings(ROOT_URLCONF="examples.guarded_api", MIDDLEWARE=middleware):
        client = Client(headers={"host": "localhost"})
        client.force_login(get_user_model().objects.get(email=email))

        def ask(key: str = "") -> int:
            headers = {"idempotency-key": key} if key else {}
            return client.get(f"/v1/{org_id}/chat", headers=headers).status_code

        print("without a plan:", ask())
        lago_sync.create_subscription(org_id, "starter")
        print("with one, and sent again:", ask("a"), ask("a"))
        print("three calls are all:", ask(), ask(), ask())


if __name__ == "__main__":
    main()
