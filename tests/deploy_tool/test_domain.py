"""Test `[domain]` in deploy.toml: a domain is connected, waits for DNS records, is replaced, and is removed."""

import contextlib
import itertools
from collections.abc import Iterator
from pathlib import Path

import pytest
from botocore.exceptions import WaiterError

from embedded_aws import EmbeddedAws, ManualClock
from embedded_aws.clock import Delays
from scripts.deploy_tool import Run
from scripts.project_changes import write_handler
from tests.support.bake import Bake
from tests.support.deploy_tool import DeployTool
from tests.support.deployed_stage import NAME, interrupt_at_change
from tests.support.domain_setup import DOMAIN, ZONE, DomainSetup
from tests.support.sample_function import SampleFunction, send_request

RETURNS_THE_HOST_NAME = """
def handler(event, context):
    return {"statusCode": 200, "body": event["requestContext"]["domainName"]}
"""
OWN_DNS = f'[domain]\nname = "{DOMAIN}"\n'
IN_ROUTE_53 = f'{OWN_DNS}hosted_zone = "{ZONE}"\n'
NOT_READY = f"{DOMAIN} is not ready yet. Do what is listed above, then run ./deploy.sh again.\n"


@pytest.fixture
def delays() -> Delays:
    """The default delays. A test can replace them with a parameter."""
    return Delays()


@pytest.fixture
def setup(bake: Bake, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, delays: Delays) -> Iterator[DomainSetup]:
    project = bake(endpoint="http_api").copy(tmp_path / "project")
    root = write_handler(tmp_path / "root", RETURNS_THE_HOST_NAME)
    with EmbeddedAws(clock=ManualClock(), delays=delays) as aws:
        setup = DomainSetup(aws, project, aws.push_image("built-elsewhere", root))
        monkeypatch.setattr("deploy.dns.name_servers", aws.dns.name_servers)
        monkeypatch.setattr("deploy.dns.addresses", aws.dns.addresses)
        yield setup


# Connecting a domain


def test_one_deploy_connects_a_domain_in_a_hosted_zone(setup: DomainSetup) -> None:
    zone = setup.create_hosted_zone()
    run = setup.release(IN_ROUTE_53)
    assert run.code == 0, run.err
    assert f"[6/7] Connecting {DOMAIN}..." in run.out
    assert run.url == f"https://{DOMAIN}/"
    assert setup.get() == (200, DOMAIN)
    assert [(name, kind) for name, kind in setup.records(zone) if name == f"{DOMAIN}."] == [
        (f"{DOMAIN}.", "A"),
        (f"{DOMAIN}.", "AAAA"),
    ]
    (domain,) = setup.aws.client("apigatewayv2").get_domain_names()["Items"]
    (configuration,) = domain["DomainNameConfigurations"]
    assert (configuration["EndpointType"], configuration["SecurityPolicy"]) == ("REGIONAL", "TLS_1_2")
    assert f"\ndomain     {DOMAIN} is connected\n" in setup.deploy("status").out
    assert setup.deploy("status", "--url").out == f"https://{DOMAIN}/\n"
    assert setup.release_and_list_mutations(IN_ROUTE_53) == []


@pytest.mark.parametrize("delays", [Delays(certificate_record_s=20)])
def test_a_deploy_waits_for_the_validation_record_of_a_new_certificate(setup: DomainSetup) -> None:
    setup.create_hosted_zone()
    run = setup.release(IN_ROUTE_53)
    assert run.code == 0, run.err
    assert setup.get() == (200, DOMAIN)


def test_tags_of_the_certificate_and_the_domain_name_are_changed_and_removed(setup: DomainSetup) -> None:
    own = {"service": "my-api", "stage": "prod", "managed-by": "deploy.sh"}
    setup.create_hosted_zone()
    for value in ("core", "platform"):
        assert setup.release(f'{IN_ROUTE_53}[tags]\nteam = "{value}"\n').code == 0
        assert setup.tags() == [own | {"team": value, "managed-tags": "team"}] * 2
        assert setup.release_and_list_mutations(f'{IN_ROUTE_53}[tags]\nteam = "{value}"\n') == []
    assert setup.release_and_list_mutations(IN_ROUTE_53)
    assert setup.tags() == [own] * 2
    assert setup.release_and_list_mutations(IN_ROUTE_53) == []


def test_a_zone_that_is_not_delegated_is_reported_without_waiting_for_acm(
    setup: DomainSetup, monkeypatch: pytest.MonkeyPatch
) -> None:
    """ACM validates a certificate only once DNS contains its record. botocore's waiter gives up after five minutes."""
    acm = setup.aws.client("acm")
    arn = acm.request_certificate(DomainName=DOMAIN, ValidationMethod="DNS")["CertificateArn"]
    monkeypatch.setattr("botocore.waiter.time", setup.aws.clock)
    with pytest.raises(WaiterError, match="Max attempts exceeded"):
        acm.get_waiter("certificate_validated").wait(CertificateArn=arn)
    assert acm.describe_certificate(CertificateArn=arn)["Certificate"]["Status"] == "PENDING_VALIDATION"

    setup.create_hosted_zone(delegated=False)
    started = setup.aws.clock.time()
    run = setup.release(IN_ROUTE_53)
    assert run.code == 0
    assert f"\n      {ZONE} is not delegated to Route 53: its name servers are none.\n" in run.out
    assert f"\n      Set them, where {ZONE} is registered, to: ns-" in run.out
    assert setup.aws.clock.time() - started < 120
    assert run.out.endswith(NOT_READY)
    assert setup.deploy("status", "--url").out.startswith("http://127.0.0.1:")
    setup.aws.dns.delegated.add(ZONE)
    assert setup.release(IN_ROUTE_53).url == f"https://{DOMAIN}/"


def test_without_a_hosted_zone_each_deploy_prints_the_next_record_to_create(setup: DomainSetup) -> None:
    first = setup.release(OWN_DNS)
    assert first.code == 0
    assert f"[6/7] Connecting {DOMAIN}... waiting (" in first.out
    assert "\n      Create this DNS record (not proxied), so that ACM can issue the certificate:\n" in first.out
    assert first.out.endswith(NOT_READY)
    name, value = requested_record(first)
    assert name.startswith("_")
    assert requested_record(setup.release(OWN_DNS)) == (name, value)
    setup.aws.dns.elsewhere[name.rstrip("."), "CNAME"] = value.rstrip(".")

    second = setup.release(OWN_DNS)
    assert second.code == 0
    assert (
        "\n      Create this DNS record (not proxied; at the apex of a zone, ALIAS or ANAME), "
        f"so that {DOMAIN} leads here:\n"
    ) in second.out
    name, value = requested_record(second)
    assert name == DOMAIN
    assert ".execute-api.us-east-1.amazonaws.com" in value
    setup.aws.dns.elsewhere[name, "CNAME"] = value

    third = setup.release(OWN_DNS)
    assert third.url == f"https://{DOMAIN}/"
    assert setup.get() == (200, DOMAIN)
    assert setup.release_and_list_mutations(OWN_DNS) == []


def requested_record(run: Run) -> tuple[str, str]:
    """Return the name and the value of the record that a deploy asks for."""
    (line,) = [line for line in run.out.splitlines() if "  CNAME  " in line]
    name, _, value = line.split()
    return name, value


def test_a_hosted_zone_that_does_not_exist_is_an_error_after_the_release(setup: DomainSetup) -> None:
    run = setup.release(IN_ROUTE_53)
    assert run.code == 1
    assert run.err == (
        f"Route 53 has no public hosted zone {ZONE}.\n"
        "Correct hosted_zone in deploy.toml, or remove it to create the DNS records yourself.\n"
    )
    assert setup.get("127.0.0.1")[0] == 200
    assert setup.domains_and_certificates() == []
    assert setup.release().code == 0  # the API has no tag of the domain


def test_cdk_20090_a_function_url_rejects_other_host_names(bake: Bake, setup: DomainSetup, tmp_path: Path) -> None:
    """aws/aws-cdk#20090. That is why only the HTTP API has [domain]."""
    url = SampleFunction(setup.aws, tmp_path).public_url()
    assert send_request(url)[0] == 200
    assert send_request(url, headers={"Host": DOMAIN})[0] == 403
    project = bake(endpoint="function_url").copy(tmp_path / "function_url")
    project.edit("deploy.toml", "[environment]", f"{OWN_DNS}[environment]")
    rejected = DeployTool(project, setup.aws)("plan")
    assert (rejected.code, rejected.err) == (2, "deploy.toml: domain: unknown key.\nRemove domain.\n")
    setup.create_hosted_zone()
    assert setup.release(IN_ROUTE_53).code == 0
    assert setup.get() == (200, DOMAIN)


# Replacing and removing a domain


def test_another_name_replaces_the_previous_one(setup: DomainSetup) -> None:
    zone = setup.create_hosted_zone()
    setup.release(IN_ROUTE_53)
    run = setup.release(IN_ROUTE_53.replace(DOMAIN, f"www.{ZONE}"))
    assert run.url == f"https://www.{ZONE}/", run
    assert {name for name, kind in setup.records(zone) if kind == "A"} == {f"www.{ZONE}."}
    assert setup.get(f"www.{ZONE}") == (200, f"www.{ZONE}")
    assert setup.get()[0] == 403


def test_a_deploy_without_the_table_removes_the_domain(setup: DomainSetup) -> None:
    zone = setup.create_hosted_zone()
    setup.release(IN_ROUTE_53)
    run = setup.release()
    assert run.code == 0, run.err
    assert f"Removing {DOMAIN}..." in run.out
    assert setup.domains_and_certificates() == []
    assert setup.records(zone) == []
    assert setup.get("127.0.0.1")[0] == 200
    assert setup.release_and_list_mutations("") == []


def test_a_domain_can_be_removed_after_its_hosted_zone_was_deleted(setup: DomainSetup) -> None:
    zone = setup.create_hosted_zone()
    setup.release(IN_ROUTE_53)
    for record in setup.record_sets(zone):
        setup.change_record(zone, "DELETE", record)
    setup.aws.client("route53").delete_hosted_zone(Id=zone)
    assert f"\ndomain     {DOMAIN} is not connected yet: run ./deploy.sh\n" in setup.deploy("status").out
    assert setup.release().code == 0
    assert setup.domains_and_certificates() == []


@pytest.mark.parametrize("table", [OWN_DNS, ""], ids=["in deploy.toml", "removed from deploy.toml"])
def test_destroy_deletes_a_domain_that_is_not_connected_yet(setup: DomainSetup, table: str) -> None:
    for _ in range(2):
        setup.release(OWN_DNS)
    assert setup.domains_and_certificates()
    setup.configure(table)
    destroyed = setup.deploy("destroy", typed=f"{NAME}\n")
    assert f"deleted domain {DOMAIN}\n" in destroyed.out
    assert destroyed.out.endswith("\n0 left\n")
    assert setup.domains_and_certificates() == []


# Other stages and records of others


def test_other_stages_do_not_use_the_domain_of_prod(setup: DomainSetup) -> None:
    setup.create_hosted_zone()
    setup.release(IN_ROUTE_53)
    run = setup.release(IN_ROUTE_53, "--stage", "dev")
    assert run.code == 0
    assert run.url.startswith("http://127.0.0.1:")
    assert len(setup.domains_and_certificates()) == 2


def test_a_domain_name_of_another_stage_is_not_changed(setup: DomainSetup) -> None:
    zone = setup.create_hosted_zone()
    setup.release(IN_ROUTE_53.replace("[domain]", "[stages.dev.domain]"), "--stage", "dev")
    aliases = [record for record in setup.record_sets(zone) if record["Name"] == f"{DOMAIN}."]
    run = setup.release(IN_ROUTE_53)
    assert run.code == 1
    assert run.err == (
        f"API Gateway already has a domain {DOMAIN}, but this tool did not create it for this stage.\n"
        "Choose another name under [domain] in deploy.toml, or delete it.\n"
    )
    another = setup.release(IN_ROUTE_53.replace(DOMAIN, f"www.{ZONE}"))
    assert another.url == f"https://www.{ZONE}/", another.err
    assert setup.release().code == 0
    assert [record for record in setup.record_sets(zone) if record["Type"] != "CNAME"] == aliases
    assert len(setup.domains_and_certificates()) == 2


def test_a_record_that_leads_elsewhere_is_not_overwritten(setup: DomainSetup) -> None:
    zone = setup.create_hosted_zone()
    record = {"Name": DOMAIN, "Type": "A", "TTL": 60, "ResourceRecords": [{"Value": "192.0.2.1"}]}
    setup.change_record(zone, "CREATE", record)
    run = setup.release(IN_ROUTE_53)
    assert run.code == 1
    assert run.err == (
        f"{DOMAIN} already has a DNS record of type A in {ZONE}, which leads elsewhere.\n"
        "Delete that record, or choose another name under [domain] in deploy.toml.\n"
    )
    setup.release()
    assert setup.records(zone) == [(f"{DOMAIN}.", "A")]


# An interrupted deploy


@pytest.mark.parametrize("when", ["before", "after"])
def test_an_interrupted_deploy_is_completed_by_the_next_one(
    monkeypatch: pytest.MonkeyPatch, setup: DomainSetup, when: str
) -> None:
    zone = setup.create_hosted_zone()
    setup.release()
    for number in itertools.count(1):
        with interrupted(monkeypatch, number, when):
            run = setup.release(IN_ROUTE_53)
        if run.code == 0:  # the deploy makes fewer changes, so it was not interrupted
            break
        assert run.code == 130, run
        assert setup.release(IN_ROUTE_53).url == f"https://{DOMAIN}/"
        assert len(setup.domains_and_certificates()) == 2
        with interrupted(monkeypatch, number, when):
            setup.release()
        assert setup.release().code == 0
        assert setup.domains_and_certificates() == []
        assert setup.records(zone) == []
    assert number > 5


@contextlib.contextmanager
def interrupted(monkeypatch: pytest.MonkeyPatch, number: int, when: str) -> Iterator[None]:
    """Press Ctrl-C before or after the `number`-th call that changes something."""
    with monkeypatch.context() as patched:
        interrupt_at_change(patched, number, when)
        yield
