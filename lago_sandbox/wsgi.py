"""The WSGI application that gunicorn's one worker serves."""

from django.core.wsgi import get_wsgi_application

application = get_wsgi_application()
