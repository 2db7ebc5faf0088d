"""The addresses of the OAuth server of the tests, and its API."""

from django.http import HttpResponse
from django.urls import include, path
from oauth2_provider.decorators import protected_resource


@protected_resource()
def orders(_: object) -> HttpResponse:
    return HttpResponse("orders")


urlpatterns = [path("o/", include("oauth2_provider.urls")), path("orders", orders)]
