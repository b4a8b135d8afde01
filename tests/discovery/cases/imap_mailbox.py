from __future__ import annotations

from mail_server import run_mail_server


def make_case(sources, case):
    server = sources.stack.enter_context(run_mail_server())
    server.deliver(b"Message-ID: <1@a.example>\r\nSubject: one\r\n\r\nHello\r\n")
    return case(
        good=server.params,
        empty={**server.params, "criteria": "SUBJECT two"},
        broken={**server.params, "folder": "Absent"},
    )
