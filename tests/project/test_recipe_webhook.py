"""Test the recipe that receives webhooks."""

import base64
import hashlib
import hmac
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from scripts.projects import combination_name
from tests.support.bake import Bake
from tests.support.recipes import DEPLOYED, WEBHOOK_KEY, RecipeService, deployed_with_every_recipe


@pytest.fixture(params=DEPLOYED, ids=combination_name)
def service(request: pytest.FixtureRequest, bake: Bake, tmp_path: Path) -> Iterator[RecipeService]:
    """Deploy a project with every recipe."""
    with deployed_with_every_recipe(bake(**request.param), tmp_path / "my-api") as service:
        yield service


def sign(identity: str, timestamp: str, body: bytes, key: bytes = WEBHOOK_KEY) -> str:
    """Return the signature that a sender creates, see https://www.standardwebhooks.com."""
    content = identity.encode() + b"." + timestamp.encode() + b"." + body
    return "v1," + base64.b64encode(hmac.new(key, content, hashlib.sha256).digest()).decode()


def test_a_webhook_is_accepted_only_with_a_valid_signature(service: RecipeService) -> None:
    body = '{"type":  "order.paid", "name": "Zoë"}'.encode()
    # The deploy took some time, so these differ from the service's clock by slightly more than their offset.
    now, too_old, too_new = (str(int(time.time()) + offset_s) for offset_s in (0, -301, 420))

    def receive(timestamp: str, signature: str, content: bytes = body, identity: str = "msg_1") -> int:
        headers = {"webhook_id": identity, "webhook_timestamp": timestamp, "webhook_signature": signature}
        return service.request("webhook", content, **headers)[0]

    valid = sign("msg_1", now, body)
    assert receive(now, valid) == 204
    assert service.wait_for_log_records("webhook msg_1: order.paid")
    assert receive(now, f"v1,AAAA {valid} v1a,BBBB") == 204
    assert receive(now, valid, body + b" ") == 401
    assert receive(now, valid, identity="msg_2") == 401
    assert receive(now, sign("msg_1", now, body, b"another key")) == 401
    for signature in ("v1,", valid[3:], valid[:-1], "ä"):
        assert receive(now, signature) == 401
    for timestamp in (too_old, too_new, "-1", "now", "²"):
        assert receive(timestamp, sign("msg_1", timestamp, body)) == 401
    assert service.request("webhook", body)[0] == 422
