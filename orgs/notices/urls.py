"""The inbox's pages, below /inbox/."""

from django.urls import path

from orgs.notices import views

app_name = "notices"

urlpatterns = [
    path("", views.index, name="inbox"),
    path("read/", views.read, name="read"),
    path("preferences/", views.choose, name="preferences"),
    path("<uuid:notice_id>/open/", views.follow, name="open"),
]
