"""Test migrations as part of a release, and the command `migrate`, without a database.

test_migrations_on_postgres.py tests them with a real PostgreSQL.
"""

import json
from typing import Any

import pytest
from botocore.exceptions import ReadTimeoutError

from embedded_aws import EmbeddedAws
from tests.support.deployed_stage import NAME, DeployedStage

pytestmark = pytest.mark.answers(migrations="alembic")

FROM_ONE_TO_TWO = """
import json

def handler(event, context):
    print(json.dumps(event))
    return {"from": "one", "to": "two", "output": ""}
"""
RETURNS_THE_COMMAND = """
def handler(event, context):
    output = f"{event['command']} {event['revision']}"
    return {"from": "one", "to": None, "output": output if event["command"] in ("current", "history") else ""}
"""
FAILS = """
def handler(event, context):
    raise RuntimeError('relation "items" already exists\\n[SQL: CREATE TABLE items]')
"""


def test_the_migration_function_runs_the_image_of_the_release(stage: DeployedStage) -> None:
    assert stage.deploy("--image", stage.push("from one to two", migrations=FROM_ONE_TO_TWO)).code == 0
    events = [line for line in stage.aws.log_messages(f"/aws/lambda/{NAME}") if '"command"' in line]
    assert [json.loads(event) for event in events] == [{"command": "upgrade", "revision": "head"}]
    functions = stage.aws.client("lambda")
    live = functions.get_function(FunctionName=NAME, Qualifier="live")
    migrate = functions.get_function(FunctionName=f"{NAME}-migrate")
    assert migrate["Code"]["ImageUri"] == live["Code"]["ImageUri"]
    assert migrate["Configuration"]["ImageConfigResponse"]["ImageConfig"]["Command"] == ["aws_lambda.migrate.handler"]
    assert migrate["Configuration"]["Timeout"] == 900
    assert migrate["Configuration"]["LoggingConfig"]["LogGroup"] == f"/aws/lambda/{NAME}"
    for key in ("Role", "Environment", "MemorySize"):
        assert migrate["Configuration"][key] == live["Configuration"][key]


def test_migrations_run_before_the_version_is_published(stage: DeployedStage) -> None:
    stage.release("old")
    released = stage.deploy("--image", stage.push("from one to two", migrations=FROM_ONE_TO_TWO))
    assert released.code == 0
    changes = [call for call in stage.calls if call in stage.mutations or call == "Invoke"]
    assert changes == [
        *["UpdateFunctionCode"] * 2,
        "Invoke",  # the migrations
        "PublishVersion",
        "Invoke",  # the smoke test
        "UpdateAlias",
    ]
    assert "[4/7] Migrating database...      one → two (" in released.out
    again = stage.deploy("--image", stage.push("from one to two"))
    assert "[4/7] Migrating database...      nothing to do\n" in again.out
    assert stage.calls.count("Invoke") == 0


def test_a_failing_migration_stops_the_release(stage: DeployedStage) -> None:
    stage.release("old")
    refused = stage.deploy("--image", stage.push("fails", migrations=FAILS))
    assert refused.code == 1
    assert stage.live_version() == "1"
    assert not {"PublishVersion", "UpdateAlias"} & set(stage.calls)
    assert "[4/7] Migrating database...      failed" in refused.out
    assert refused.err.splitlines()[-2:] == [
        'alembic upgrade failed: relation "items" already exists',
        "The live version did not change. Fix the cause (or raise migration_timeout_s in deploy.toml), then try again.",
    ]


def test_a_migration_is_not_started_again_after_a_lost_connection(
    stage: DeployedStage, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A long migration would run twice."""
    stage.release("old")
    requests: list[str] = []
    send = EmbeddedAws.send

    def time_out(self: EmbeddedAws, request: Any) -> Any:
        if request.url.endswith("/invocations"):
            requests.append(request.url)
            raise ReadTimeoutError(endpoint_url=request.url)
        return send(self, request)

    monkeypatch.setattr(EmbeddedAws, "send", time_out)
    lost = stage.deploy("migrate", "upgrade")
    assert lost.code == 1
    assert len(requests) == 1
    message, hint = lost.err.splitlines()
    assert message.startswith("The connection was lost during alembic upgrade: ")
    assert hint == (
        "It may still be running; another run waits for it. To see the revision, run ./deploy.sh migrate current"
    )


@pytest.mark.parametrize(
    ("arguments", "output"),
    [
        (["upgrade"], f"{NAME}: one → empty\n"),
        (["upgrade", "+1"], f"{NAME}: one → empty\n"),
        (["downgrade", "-1"], f"{NAME}: one → empty\n"),
        (["stamp", "one"], f"{NAME}: one → empty\n"),
        (["current"], "current\n"),
        (["history"], "history\n"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_the_command_runs_alembic_in_the_migration_function(
    stage: DeployedStage, arguments: list[str], output: str
) -> None:
    stage.deploy("--image", stage.push("returns the command", migrations=RETURNS_THE_COMMAND))
    run = stage.deploy("migrate", *arguments)
    assert (run.code, run.out) == (0, output)
    assert stage.mutations == []


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "Missing command."),
        (["drop"], "No such command 'drop'."),
        (["downgrade"], "Missing argument 'revision'."),
        (["stamp"], "Missing argument 'revision'."),
        (["upgrade", "--sql"], "Invalid value for 'revision': '--sql' is not a revision."),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_a_mistake_in_the_arguments_of_migrate_is_an_error(
    stage: DeployedStage, arguments: list[str], message: str
) -> None:
    rejected = stage.deploy("migrate", *arguments)
    assert rejected.code == 2
    assert rejected.err.splitlines()[0] == message
    assert stage.calls == []


def test_migrate_before_the_first_deploy_is_an_error(stage: DeployedStage) -> None:
    refused = stage.deploy("migrate", "current")
    assert refused.code == 1
    assert refused.err == (
        "my-api was not deployed in stage prod, so its database cannot be reached.\nDeploy it: ./deploy.sh\n"
    )


def test_a_rollback_does_not_change_the_database(stage: DeployedStage) -> None:
    for image in ("old", "new"):
        stage.release(image)
    rollback = stage.deploy("rollback")
    assert rollback.code == 0
    assert "\nThe database stays as it is; see ./deploy.sh migrate downgrade.\n" in rollback.out
    assert stage.calls.count("Invoke") == 1  # the smoke test


def test_a_migration_cannot_run_longer_than_lambda_allows(stage: DeployedStage) -> None:
    stage.configure("migration_timeout_s = 1801")
    rejected = stage.deploy()
    assert rejected.code == 2
    assert "migration_timeout_s: must be less than or equal to 1800; it is 1801.\n" in rejected.err
