"""What is live, and what it wrote, in words."""

from tests.scene import NAME, Scene

SERVICE = """
import json, time

def handler(event, context):
    path = event["rawPath"]
    if path == "/slow":
        time.sleep(60)
    if path == "/broken":
        {}["id"]
    record = {"level": "INFO", "logger": "aws_lambda.access", "message": "GET " + path}
    record |= {"status": 200, "duration_ms": 12.3}
    print(json.dumps({"timestamp": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()), **record}))
    return {"statusCode": 200, "body": "{}"}
"""


def with_logs(scene: Scene) -> str:
    """A service that has answered, failed and timed out; its deploy's last words: the URL."""
    scene.configure("timeout_s = 1")
    url = scene.deploy("--image", scene.push("logs", SERVICE)).url
    for path in ("/items", "/broken", "/slow"):
        scene.invoke({"rawPath": path})
    return url


def test_status_of_what_is_live(scene: Scene) -> None:
    url = with_logs(scene)
    status = scene.deploy("status")
    assert status.code == 0
    assert "version 1" in status.out
    assert f"{NAME}-5xx" in status.out
    assert "KeyError: 'id'" in status.out
    assert url in status.out
    assert scene.mutations == []


def test_logs_and_errors_only(scene: Scene) -> None:
    with_logs(scene)
    logs = scene.deploy("logs")
    assert logs.code == 0
    assert "GET /items 200 12.3 ms" in logs.out
    errors = scene.deploy("logs", "--errors")
    assert errors.code == 0
    assert "GET /items" not in errors.out
    assert "timeout: Sandbox.Timedout after 1," in errors.out


def test_before_the_first_deploy(scene: Scene) -> None:
    status = scene.deploy("status")
    assert status.code == 1
    assert "Deploy it: ./deploy.sh" in status.err
    assert scene.deploy("logs").code == 1
