"""`python -m tests.e2e.oauth_server DIRECTORY PORT CLIENT SECRET`: a real OAuth server on loopback
(django-oauth-toolkit), with an API that needs a token."""

import sys
from wsgiref.simple_server import make_server

import django
from django.conf import settings
from django.core.management import call_command
from django.core.wsgi import get_wsgi_application

APPS = ("auth", "contenttypes", "oauth2_provider")

if __name__ == "__main__":
    directory, port, client, secret = sys.argv[1:]
    settings.configure(
        SECRET_KEY="of the test",
        ROOT_URLCONF="tests.e2e.oauth_urls",
        ALLOWED_HOSTS=["*"],
        INSTALLED_APPS=["django.contrib.auth", "django.contrib.contenttypes", "oauth2_provider"],
        DATABASES={
            "default": {"ENGINE": "django.db.backends.sqlite3", "NAME": f"{directory}/oauth.db"}
        },
        MIGRATION_MODULES=dict.fromkeys(APPS),
        PASSWORD_HASHERS=["django.contrib.auth.hashers.MD5PasswordHasher"],
    )
    django.setup()
    call_command("migrate", run_syncdb=True, verbosity=0)
    from oauth2_provider.models import Application

    Application.objects.create(
        client_id=client,
        client_secret=secret,
        client_type="confidential",
        authorization_grant_type="client-credentials",
    )
    make_server("127.0.0.1", int(port), get_wsgi_application()).serve_forever()
