"""Test how versions of a function are published and deleted."""

from tests.support.sample_function import ECHO, NAME, SampleFunction, raises_client_error


def test_publishing_an_unchanged_function_returns_the_same_version(sample: SampleFunction) -> None:
    sample.create()
    pending = sample.client.publish_version(FunctionName=NAME, Description="one")
    assert (pending["Version"], pending["State"]) == ("1", "Pending")
    sample.wait_until_ready()
    assert sample.configuration("1")["State"] == "Active"
    assert sample.publish() == "1"
    sample.update(ECHO + "# changed\n")
    assert sample.publish() == "2"
    sample.client.update_function_configuration(FunctionName=NAME, Environment={"Variables": {"AA": "1"}})
    sample.wait_until_ready()
    assert sample.publish() == "3"
    versions = sample.client.list_versions_by_function(FunctionName=NAME)["Versions"]
    assert [v["Version"] for v in versions] == ["$LATEST", "1", "2", "3"]
    assert versions[1]["Description"] == "one"


def test_version_numbers_are_not_used_again(sample: SampleFunction) -> None:
    sample.create()
    sample.publish()
    sample.client.delete_function(FunctionName=NAME, Qualifier="1")
    with raises_client_error(
        "ResourceNotFoundException", f"Function not found: arn:aws:lambda:us-east-1:123456789012:function:{NAME}:1"
    ):
        sample.configuration("1")
    sample.client.delete_function(
        FunctionName=NAME, Qualifier="99"
    )  # AWS does not report an error for a version that does not exist
    assert sample.publish() == "2"


def test_a_version_keeps_its_code(sample: SampleFunction) -> None:
    sample.create("def handler(event, context):\n    return 1\n")
    sample.publish()
    sample.update("def handler(event, context):\n    return 2\n")
    assert sample.invoke(Qualifier="1").payload == 1
    assert sample.invoke().payload == 2


def test_publishing_with_another_code_hash_is_refused(sample: SampleFunction) -> None:
    sample.create()
    sha256 = sample.configuration()["CodeSha256"]
    with raises_client_error("InvalidParameterValueException", "is different from current CodeSHA256"):
        sample.client.publish_version(FunctionName=NAME, CodeSha256="0" * 64)
    assert sample.client.publish_version(FunctionName=NAME, CodeSha256=sha256)["CodeSha256"] == sha256
