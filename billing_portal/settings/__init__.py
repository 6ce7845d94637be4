"""Settings: base.py for every use, test.py for the test suite."""

import django_stubs_ext

# Lets `ModelAdmin[User]` and `DecimalField[Any, Any]`, which the type checker wants, pass at run time.
django_stubs_ext.monkeypatch()
