"""Test how execution environments start, scale, stay warm and end, and what they contain."""

from pathlib import Path
from typing import Any

from embedded_aws import EmbeddedAws, ManualClock
from tests.support.processes import ends_soon, is_running
from tests.support.sample_function import NAME, SampleFunction

RETURNS_PID = "import os\n\ndef handler(event, context):\n    return os.getpid()\n"
WAITS = """
import os, time

def handler(event, context):
    while "gate" in event and not os.path.exists(event["gate"]):
        time.sleep(0.01)
    return os.getpid()
"""


def test_a_warm_environment_is_used_again(sample: SampleFunction) -> None:
    sample.create(RETURNS_PID)
    first, second = sample.invoke(), sample.invoke()
    assert first.payload == second.payload
    assert "initDurationMs" in first.report["metrics"]
    assert "initDurationMs" not in second.report["metrics"]


def test_concurrent_requests_run_in_separate_environments(sample: SampleFunction) -> None:
    sample.create(WAITS)
    pids = [result.payload for result in sample.invoke_concurrently(4)]
    assert len(set(pids)) == 4
    assert {e.pid for e in sample.aws.environments(NAME)} == set(pids)
    assert sample.invoke().payload in pids


def test_each_version_has_its_own_environments(sample: SampleFunction) -> None:
    sample.create(RETURNS_PID)
    latest = sample.invoke().payload
    version = sample.publish()
    assert sample.invoke(Qualifier=version).payload != latest
    sample.client.update_function_configuration(FunctionName=NAME, Timeout=4)
    sample.wait_until_ready()
    sample.invoke()
    assert not is_running(latest)
    published = sample.invoke(Qualifier=version).payload
    assert is_running(published)
    sample.client.delete_function(FunctionName=NAME, Qualifier=version)
    assert not is_running(published)


def test_all_processes_end_with_the_embedded_aws(tmp_path: Path) -> None:
    starts_child = "import os, subprocess\n\nchild = subprocess.Popen(['sleep', '60'])\n\n"
    starts_child += "def handler(event, context):\n    return [os.getpid(), child.pid]\n"
    with EmbeddedAws(clock=ManualClock()) as aws:
        sample = SampleFunction(aws, tmp_path)
        sample.create(starts_child)
        pids = sample.invoke().payload
        assert all(map(is_running, pids))
    assert all(map(ends_soon, pids))


def test_the_environment_has_only_variables_of_lambda_and_of_the_function(
    sample: SampleFunction, monkeypatch: Any
) -> None:
    monkeypatch.setenv("SECRET_OF_THE_HOST", "x")
    source = "import os, sys\n\ndef handler(event, context):\n"
    source += "    return {'environ': dict(os.environ), 'path': sys.path, 'site': 'site' in sys.modules}\n"
    sample.create(source, Environment={"Variables": {"STAGE": "prod"}}, MemorySize=256)
    payload = sample.invoke().payload
    environ = payload["environ"]
    assert environ["STAGE"] == "prod"
    assert environ["AWS_LAMBDA_FUNCTION_NAME"] == NAME
    assert environ["AWS_LAMBDA_FUNCTION_VERSION"] == "$LATEST"
    assert environ["AWS_LAMBDA_FUNCTION_MEMORY_SIZE"] == "256"
    assert environ["AWS_LAMBDA_LOG_FORMAT"] == "JSON"
    assert environ["AWS_LAMBDA_LOG_LEVEL"] == "INFO"
    assert environ["_HANDLER"] == "main.handler"
    assert environ["TZ"] == ":UTC"
    assert environ["AWS_ENDPOINT_URL"] == sample.aws.url
    assert not {"SECRET_OF_THE_HOST", "HOME", "VIRTUAL_ENV", "PYTHONDONTWRITEBYTECODE"} & set(environ)
    assert not [path for path in payload["path"] if "site-packages" in path or "dist-packages" in path]


def test_only_packages_of_the_image_can_be_imported(sample: SampleFunction) -> None:
    sample.create("import boto3\n")
    result = sample.invoke()
    assert result.error == "Unhandled"
    assert result.payload["errorType"] == "Runtime.ImportModuleError"
    assert "No module named 'boto3'" in result.payload["errorMessage"]


def test_the_task_root_is_not_modified(sample: SampleFunction) -> None:
    sample.create("import other\n\ndef handler(event, context):\n    return 1\n")
    (root,) = [p.parent for p in sample._folder.rglob("main.py")]
    (root / "other.py").write_text("")
    assert sample.invoke().payload == 1
    assert sorted(p.name for p in root.rglob("*")) == ["main.py", "other.py"]


def test_image_config_replaces_the_command_of_the_image(sample: SampleFunction) -> None:
    source = "def handler(event, context):\n    return 'main'\n\ndef other(event, context):\n    return 'other'\n"
    sample.create(source, ImageConfig={"Command": ["main.other"]})
    assert sample.invoke().payload == "other"


def test_an_image_of_another_architecture_fails_when_it_is_invoked(sample: SampleFunction) -> None:
    sample.create(Architectures=["x86_64"])
    result = sample.invoke()
    assert result.payload["errorType"] == "Runtime.InvalidEntrypoint"
    assert "exec format error" in result.payload["errorMessage"]
