"""A plan is data: it contains references to values that become known while it is applied."""

from pathlib import Path

from deploy.config import Config
from deploy.plan import apply_changes, compare
from deploy.resource import Outputs, Resource
from deploy.stage import Stage
from deploy.state import Difference, Reference, State, resolve


class Memo(Resource):
    """A resource in a dictionary. Its output is the ID that it gets when it is created."""

    kind = "memo"

    def __init__(self, stage: Stage, name: str, desired: State | None, stored: dict[str, State]) -> None:
        super().__init__(stage)
        self._name = name
        self._desired = desired
        self.stored = stored

    @property
    def name(self) -> str:
        return self._name

    def desired(self) -> State | None:
        return self._desired

    def read(self) -> State | None:
        return self.stored.get(self.name)

    def create(self, desired: State) -> Outputs:
        self.stored[self.name] = desired
        return {f"{self.name}.id": f"id-of-{self.name}"}

    def update(self, changed: State) -> None:
        self.stored[self.name] |= changed

    def delete(self) -> None:
        del self.stored[self.name]


def test_references_are_resolved_inside_dictionaries_and_lists() -> None:
    arn = Reference("api.id", "arn:api/{}/live")
    assert resolve({"a": [arn, "{}"], "b": Reference("unknown")}, {"api.id": "a1"}) == {
        "a": ["arn:api/a1/live", "{}"],
        "b": Reference("unknown"),
    }
    assert str(arn) == "arn:api/<api.id>/live"


def test_a_plan_is_applied_as_computed(tmp_path: Path) -> None:
    stage = Stage(Config(stage="prod", name="my-api", region="us-east-1"), tmp_path)
    stored: dict[str, State] = {"changed": {"text": "old", "unmanaged": 1}, "surplus": {}, "same": {"text": None}}
    resources = [
        Memo(stage, "new", {"text": "first"}, stored),
        Memo(stage, "second", {"text": Reference("new.id", "after {}")}, stored),
        Memo(stage, "changed", {"text": "new"}, stored),
        Memo(stage, "surplus", None, stored),
        Memo(stage, "same", {"text": ""}, stored),  # AWS leaves out what is empty
    ]
    changes = compare(resources, {resource: resource.read() for resource in resources}, {})
    assert [(change.action, change.name) for change in changes] == [
        ("create", "new"),
        ("create", "second"),
        ("update", "changed"),
        ("delete", "surplus"),
    ]
    assert changes[2].fields == {"text": Difference("old", "new")}

    values: dict[str, str] = {}
    assert apply_changes(changes, resources, values) == "2 created, 1 updated, 1 deleted"
    assert values == {"new.id": "id-of-new", "second.id": "id-of-second"}
    assert stored == {
        "new": {"text": "first"},
        "second": {"text": "after id-of-new"},
        "changed": {"text": "new", "unmanaged": 1},
        "same": {"text": None},
    }
