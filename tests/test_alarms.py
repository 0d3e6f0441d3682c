"""Does an exception in a route raise an alarm? Lambda's `Errors` never sees it: the invocation succeeds."""

import urllib.error
import urllib.request
from pathlib import Path

import pytest

from tests.baking import CHOICES
from tests.conftest import Bake
from tests.deploying import InProcess, push
from tests.embedded_aws import EmbeddedAws


@pytest.mark.parametrize("endpoint", CHOICES["endpoint"])
def test_a_500_is_seen_by_our_alarm_and_not_by_errors_alone(bake: Bake, tmp_path: Path, endpoint: str) -> None:
    project = bake(endpoint=endpoint).copy(tmp_path)
    main = project.path / "app/main.py"
    route = '\n\n@app.get("/broken")\nasync def broken() -> None:\n    raise RuntimeError("out of cheese")\n'
    marker = "\nhandler = "
    main.write_text(main.read_text("utf-8").replace(marker, f"{route}\n{marker}", 1), encoding="utf-8")
    with EmbeddedAws() as aws:
        deploy = InProcess(project, aws)
        deployed = deploy("--image", push(project, aws))
        assert deployed.code == 0, deployed.err
        assert not aws.alarm_fires("my-api-prod-5xx")

        with pytest.raises(urllib.error.HTTPError) as caught:
            urllib.request.urlopen(deployed.url + "broken", timeout=30)
        assert caught.value.code == 500
        assert "request_id" in caught.value.read().decode()

        assert aws.alarm_fires("my-api-prod-5xx")
        assert not aws.alarm_fires("my-api-prod-errors")
        errors = deploy("logs", "--errors").out
        assert errors.count("RuntimeError: out of cheese") == 1
