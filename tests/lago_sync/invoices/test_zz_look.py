from datetime import timedelta
import pytest
from django.utils import timezone
from django.test import Client
from django.core import mail
from tests.lago_sync.invoices.story import mirrored
from lago_sync.invoices import mailing
from lago_sync.models import LagoCustomer, LagoInvoice
from playwright.sync_api import sync_playwright

OUT="/tmp/lookd/"

@pytest.mark.django_db(transaction=True)
def test_look(billed, live_server):
    from tests.lago_sync.purchases.story import Shop, ordered
    billed.pay(billed.at_lago()[0]["lago_id"])
    billed.lago.advance(10*86400)
    billed.change_plan("enterprise")
    billed.refresh()
    mailing.send_due(now=billed.now())
    open(OUT+"mail.html","w").write(str(mail.outbox[-1].alternatives[0][0]) if mail.outbox else "")
    open(OUT+"mail.txt","w").write(mail.outbox[-1].body if mail.outbox else "")
    team=billed.organization
    first, second = billed.rows()
    today=timezone.now().date()
    for n in range(24):
        mirrored(team, f"ACM-{n:03d}", issuing_date=today-timedelta(days=n*9), invoice_type="credit" if n%2 else "subscription", payment_status="succeeded" if n>2 else "pending", total_due_amount_cents=0 if n>2 else 4900, payment_due_date=today-timedelta(days=n*9-4))
    mirrored(team, "ACM-OLD", status="voided", total_due_amount_cents=0)
    late = mirrored(team, "ACM-LATE", payment_status="failed", payment_due_date=today-timedelta(days=3), synced_at=timezone.now()-timedelta(hours=5))
    LagoCustomer.objects.update(invoices_synced_at=timezone.now())
    LagoInvoice.objects.filter(pk=second.pk).update(payment_url="https://pay.example/x", synced_at=timezone.now())
    user=team.memberships.get(role="owner").user
    c=Client(); c.force_login(user)
    cookie=c.cookies["sessionid"].value if "sessionid" in c.cookies else list(c.cookies.values())[0].value
    name="sessionid" if "sessionid" in c.cookies else list(c.cookies.keys())[0]
    urls={"list":"/orgs/acme/invoices/","detail":f"/orgs/acme/invoices/{second.pk}/","paid":f"/orgs/acme/invoices/{first.pk}/","late":f"/orgs/acme/invoices/{late.pk}/","pdf":f"/orgs/acme/invoices/{second.pk}/pdf/","none":"/orgs/acme/invoices/?q=zzz","bad":"/orgs/acme/invoices/?start=x"}
    import os
    os.environ["DJANGO_ALLOW_ASYNC_UNSAFE"]="1"
    with sync_playwright() as p:
        b=p.chromium.launch(executable_path="/usr/bin/chromium", args=["--no-sandbox","--disable-gpu","--disable-background-networking"])
        for scheme,width in (("light",1280),("dark",1280),("light",390)):
            ctx=b.new_context(base_url=live_server.url, viewport={"width":width,"height":900}, color_scheme=scheme)
            ctx.add_cookies([{"name":name,"value":cookie,"url":live_server.url}])
            for what,u in urls.items():
                page=ctx.new_page()
                logs=[]
                page.on("console", lambda m: logs.append(m.text) if m.type=="error" else None)
                r=page.goto(u)
                page.screenshot(path=f"{OUT}{what}-{scheme}-{width}.png", full_page=True)
                w=page.evaluate("document.documentElement.scrollWidth")
                print(what,scheme,width,r.status,w,logs)
                page.close()
        page=b.new_page(); page.goto("file:///tmp/lookd/mail.html"); page.screenshot(path=OUT+"mail.png")
        b.close()
