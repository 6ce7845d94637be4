"""Addresses of `orgs` below /api/v1/; none ends with a slash."""

from django.urls import path

from orgs.api import audit, departments, keys, me, members, organizations, security

__all__ = ["security", "urlpatterns"]  # importing `security` teaches it to the OpenAPI page

urlpatterns = [
    path("me", me.Me.as_view(), name="me"),
    path("me/keys", keys.MyKeys.as_view(), name="my-keys"),
    path("me/keys/<str:key_id>", keys.OneOfMyKeys.as_view(), name="my-key"),
    path("orgs", organizations.Organizations.as_view(), name="organizations"),
    path("orgs/<str:org_id>", organizations.OneOrganization.as_view(), name="organization"),
    path("orgs/<str:org_id>/switch", organizations.Switch.as_view(), name="organization-switch"),
    path("orgs/<str:org_id>/members", members.Members.as_view(), name="members"),
    path("orgs/<str:org_id>/members/<str:user_id>", members.OneMember.as_view(), name="member"),
    path("orgs/<str:org_id>/departments", departments.Departments.as_view(), name="departments"),
    path(
        "orgs/<str:org_id>/departments/<str:department_id>",
        departments.OneDepartment.as_view(),
        name="department",
    ),
    path("orgs/<str:org_id>/keys", keys.Keys.as_view(), name="keys"),
    path("orgs/<str:org_id>/keys/<str:key_id>", keys.OneKey.as_view(), name="key"),
    path("orgs/<str:org_id>/audit", audit.Audit.as_view(), name="audit"),
]
