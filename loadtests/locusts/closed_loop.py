"""Locust's own clients in a closed loop, beside which the generator is measured: they wait for each answer.

`locust -f loadtests/locusts/closed_loop.py FastCaller --headless -u 16 -t 20s --host http://127.0.0.1:9000`
"""

from __future__ import annotations

from locust import FastHttpUser, HttpUser, task

_BODY = '{"x":1}'


class FastCaller(FastHttpUser):
    """Over geventhttpclient."""

    @task
    def ask(self) -> None:
        """As soon as it was answered."""
        self.client.post("/", data=_BODY)


class HttpCaller(HttpUser):
    """Over requests."""

    @task
    def ask(self) -> None:
        """As soon as it was answered."""
        self.client.post("/", data=_BODY)
