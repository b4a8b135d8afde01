from __future__ import annotations

from smtp_server import make_certificate, serving

SIGNING = {"secret": "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"}


def make_sample(house):
    trusted, server = make_certificate(house.folder)
    house.setenv("SSL_CERT_FILE", str(trusted))
    mailbox = house.closing.enter_context(serving(tls_context=server, auth_required=True))
    house.httpserver.expect_request("/chat", json={"text": "New\nRoots"}).respond_with_data("ok")
    house.httpserver.expect_request("/apprise").respond_with_json({})
    tell = tell_to(house, "/chat")
    tell["params"] |= {
        "apprise": [house.httpserver.url_for("/apprise").replace("http:", "json:")],
        "mail": {
            "host": "localhost",
            "port": mailbox.port,
            "user": "me",
            "password": "open sesame",
            "sender": "c@example.org",
            "to": ["a@example.org"],
        },
    }
    return tell


def make_endings(house):
    server = house.httpserver
    server.expect_request("/gone").respond_with_data(status=404)
    server.expect_request("/busy").respond_with_data(status=429, headers={"retry-after": "120"})
    server.expect_request("/ill").respond_with_data(status=500)
    paths = {"never": "/gone", "later": "/busy", "unexpected": "/ill"}
    return {kind: tell_to(house, path) for kind, path in paths.items()}


def tell_to(house, path):
    url = house.httpserver.url_for(path)
    params = {"title": "New", "message": "{{ item.title }}", "webhook": url, **SIGNING}
    return {"params": params, "data": {"title": "Roots"}}
