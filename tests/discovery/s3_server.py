"""A server that speaks S3, for tests: moto's, on a port of its own."""

from __future__ import annotations

import logging
import urllib.request
from contextlib import contextmanager

import boto3
from botocore.config import Config
from moto.server import ThreadedMotoServer

KEYS = {"access_key": "an-access-key", "secret_key": "a-secret-key"}


@contextmanager
def run_s3_server():
    """Run a server while the block runs, empty at first; gives its address."""
    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    try:
        host, port = server.get_host_and_port()
        reset(f"http://{host}:{port}")
        yield f"http://{host}:{port}"
    finally:
        server.stop()


def reset(address):
    """Forget all buckets, which every server of this process shares."""
    _command(f"{address}/moto-api/reset", b"")


@contextmanager
def s3_permissions(address):
    """Have the server ask who may do what, while the block runs: nobody may do anything."""
    _command(f"{address}/moto-api/reset-auth", b"0")
    try:
        yield
    finally:
        _command(f"{address}/moto-api/reset-auth", b"inf")


def _command(address, body):
    request = urllib.request.Request(address, body, {"Content-Type": "text/plain"}, method="POST")  # noqa: S310
    urllib.request.urlopen(request, timeout=10).close()  # noqa: S310 - to the server of this test


def open_client(address):
    """Open a client of Amazon's own, by which tests put objects there."""
    return boto3.client(
        "s3",
        endpoint_url=address,
        region_name="us-east-1",
        aws_access_key_id=KEYS["access_key"],
        aws_secret_access_key=KEYS["secret_key"],
        config=Config(retries={"max_attempts": 1}),
    )


def put_objects(address, bucket, objects):
    """Make a bucket if there is none, and put objects into it by key."""
    client = open_client(address)
    client.create_bucket(Bucket=bucket)
    for key, body in objects.items():
        client.put_object(Bucket=bucket, Key=key, Body=body)
    client.close()
