"""Where this process hands its jobs, for as long as a part of a test lasts."""

from collections.abc import Iterator
from contextlib import contextmanager

from celery import current_app


@contextmanager
def jobs_go_to(url: str) -> Iterator[None]:
    """Hand jobs to this broker, and to the one of before afterwards.

    Celery answers the address for writing with the one for reading where none is set. Whoever sets both and puts back
    what it read leaves a setting behind that wins over every later `broker_url`, so nothing is read here that is put back.
    """
    conf = current_app.conf
    before = conf.broker_url
    conf.update(broker_url=url, broker_write_url=url)
    try:
        yield
    finally:
        conf.update(broker_url=before, broker_write_url=None)
