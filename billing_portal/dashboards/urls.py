"""Pages that span apps."""

from django.urls import path

from billing_portal.dashboards import views

app_name = "dashboards"

urlpatterns = [
    path("", views.home, name="home"),
    path("theme/", views.choose_theme, name="theme"),
    path("billing/", views.mine, name="mine"),
    path("system/", views.system, name="system"),
    path("system/lago/", views.system_lago, name="system-lago"),
    path("orgs/<slug:slug>/", views.organization, name="organization"),
    path("orgs/<slug:slug>/switch/", views.switch_organization, name="organization-switch"),
]
