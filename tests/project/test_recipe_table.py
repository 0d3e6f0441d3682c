"""Test the recipe that uses an existing DynamoDB table."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from scripts.projects import combination_name
from tests.support.bake import Bake
from tests.support.recipes import DEPLOYED, RecipeService, deployed_with_every_recipe

TABLE = "my-notes"
OTHER_TABLE = "other-notes"
TABLE_ARN = f"arn:aws:dynamodb:us-east-1:123456789012:table/{TABLE}"


@pytest.fixture(params=DEPLOYED, ids=combination_name)
def service(request: pytest.FixtureRequest, bake: Bake, tmp_path: Path) -> Iterator[RecipeService]:
    """Deploy a project with every recipe, next to two tables that the deploy tool does not know."""
    with deployed_with_every_recipe(bake(**request.param), tmp_path / "my-api") as service:
        dynamodb = service.aws.client("dynamodb")
        for table in (TABLE, OTHER_TABLE):
            dynamodb.create_table(
                TableName=table,
                KeySchema=[{"AttributeName": "name", "KeyType": "HASH"}],
                AttributeDefinitions=[{"AttributeName": "name", "AttributeType": "S"}],
                BillingMode="PAY_PER_REQUEST",
            )
        yield service


def test_the_service_uses_the_table_and_no_other_one(service: RecipeService) -> None:
    assert service.request("notes/shopping")[0] == 404
    assert service.request("notes/shopping", '{"text": "Äpfel"}'.encode(), "PUT")[0] == 204
    assert service.request("notes/shopping") == (200, '{"text":"Äpfel"}'.encode())
    assert service.request("notes/shopping", b"{}", "PUT")[0] == 422
    dynamodb = service.aws.client("dynamodb")
    assert dynamodb.scan(TableName=TABLE)["Items"] == [{"name": {"S": "shopping"}, "text": {"S": "Äpfel"}}]
    used = {(action, resource) for _, action, resource in service.aws.used_by_roles if "dynamodb" in action}
    assert used == {("dynamodb:GetItem", TABLE_ARN), ("dynamodb:PutItem", TABLE_ARN)}

    service.project.edit("deploy.toml", f'NOTES = "{TABLE}"', f'NOTES = "{OTHER_TABLE}"')
    assert service.deploy("--image", service.image).code == 0
    assert service.request("notes/shopping")[0] == 500
    assert service.request("notes/shopping", b'{"text": "Milk"}', "PUT")[0] == 500
    assert dynamodb.scan(TableName=OTHER_TABLE)["Items"] == []
    for action in ("GetItem", "PutItem"):
        assert service.wait_for_log_records(
            f"is not authorized to perform: dynamodb:{action} on resource: {TABLE_ARN.replace(TABLE, OTHER_TABLE)}"
        )
