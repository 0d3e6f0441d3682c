"""A domain: it is connected, waits for DNS records, moves to another name, and is removed without remains."""

import contextlib
import http.client
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import WaiterError

from embedded_aws import EmbeddedAws, ManualClock
from scripts.deploy_tool import Run
from scripts.project_changes import write_handler
from tests.support.bake import Bake
from tests.support.deploy_tool import DeployTool
from tests.support.deployed_stage import interrupt_at_change
from tests.support.sample_function import SampleFunction, send_request

HANDLER = """
def handler(event, context):
    return {"statusCode": 200, "body": event["requestContext"]["domainName"]}
"""
NAME, ZONE = "api.example.com", "example.com"
OWN_DNS = f'[domain]\nname = "{NAME}"\n'
IN_ROUTE_53 = f'{OWN_DNS}hosted_zone = "{ZONE}"\n'
NOT_READY = f"{NAME} is not ready yet. Do what is listed above, then run ./deploy.sh again.\n"


class DomainSetup:
    """A project and an embedded AWS whose public DNS the deploy tool queries."""

    def __init__(self, aws: EmbeddedAws, project: Path, deploy: DeployTool, image: str) -> None:
        self.aws = aws
        self._toml = project / "deploy.toml"
        self._text = self._toml.read_text("utf-8")
        self.deploy = deploy
        self._image = image

    def release(self, domain: str = "", *arguments: str) -> Run:
        """Deploy with this [domain] table, or without one."""
        self._toml.write_text(self._text + domain, encoding="utf-8")
        return self.deploy(*arguments, "--image", self._image)

    def remove_from_toml(self) -> None:
        """Remove the [domain] table, without a deploy."""
        self._toml.write_text(self._text, encoding="utf-8")

    def create_hosted_zone(self, *, delegated: bool = True) -> str:
        """Create the zone and return its ID."""
        zone = self.aws.client("route53").create_hosted_zone(Name=ZONE, CallerReference="one")
        if delegated:
            self.aws.dns.delegated.add(ZONE)
        return str(zone["HostedZone"]["Id"])

    def record_sets(self, zone: str) -> list[Any]:
        """Return the records of the zone, except those that every zone has."""
        sets = self.aws.client("route53").list_resource_record_sets(HostedZoneId=zone)["ResourceRecordSets"]
        return [record for record in sets if record["Type"] not in ("NS", "SOA")]

    def records(self, zone: str) -> list[tuple[str, str]]:
        """Return the name and the type of each of these records."""
        return [(record["Name"], record["Type"]) for record in self.record_sets(zone)]

    def delete_records(self, zone: str) -> None:
        for record in self.record_sets(zone):
            changes = [{"Action": "DELETE", "ResourceRecordSet": record}]
            self.aws.client("route53").change_resource_record_sets(HostedZoneId=zone, ChangeBatch={"Changes": changes})

    def remaining(self) -> list[Any]:
        """Return all custom domain names and certificates in the account."""
        domains = self.aws.client("apigatewayv2").get_domain_names()["Items"]
        return [*domains, *self.aws.client("acm").list_certificates()["CertificateSummaryList"]]

    def mutations(self, domain: str) -> list[str]:
        """Deploy with this [domain] table and return the calls that changed something."""
        before = len(self.aws.calls)
        assert self.release(domain).code == 0
        return [call.operation for call in self.aws.calls[before:] if call.mutating]

    def get(self, host: str = NAME) -> tuple[int, str]:
        """Send a request to the API with this host name, and return the status and the body of the response."""
        (api,) = self.aws.client("apigatewayv2").get_apis()["Items"]
        connection = http.client.HTTPConnection(api["ApiEndpoint"].removeprefix("http://"), timeout=10)
        connection.request("GET", "/", headers={"Host": host})
        response = connection.getresponse()
        return response.status, response.read().decode()


@pytest.fixture
def setup(bake: Bake, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[DomainSetup]:
    project = bake(endpoint="http_api").copy(tmp_path / "project")
    root = write_handler(tmp_path / "root", HANDLER)
    with EmbeddedAws(clock=ManualClock()) as aws:
        deploy = DeployTool(project, aws)
        lookups: dict[str, Callable[[str], set[str]]] = {
            "name_servers": aws.dns.name_servers,
            "addresses": aws.dns.addresses,
        }
        for name, look_up in lookups.items():
            monkeypatch.setattr(f"deploy.dns.{name}", look_up)
        yield DomainSetup(aws, project.path, deploy, aws.push_image("built-elsewhere", root))


def test_one_deploy_connects_a_domain_in_a_hosted_zone(setup: DomainSetup) -> None:
    zone = setup.create_hosted_zone()
    run = setup.release(IN_ROUTE_53)
    assert run.code == 0, run.err
    assert f"[6/7] Connecting {NAME}..." in run.out
    assert run.url == f"https://{NAME}/"
    assert setup.get() == (200, NAME)
    assert [(name, kind) for name, kind in setup.records(zone) if name == f"{NAME}."] == [
        (f"{NAME}.", "A"),
        (f"{NAME}.", "AAAA"),
    ]
    (domain,) = setup.aws.client("apigatewayv2").get_domain_names()["Items"]
    (configuration,) = domain["DomainNameConfigurations"]
    assert (configuration["EndpointType"], configuration["SecurityPolicy"]) == ("REGIONAL", "TLS_1_2")
    assert f"\ndomain     {NAME} is connected\n" in setup.deploy("status").out
    assert setup.deploy("status", "--url").out == f"https://{NAME}/\n"
    assert setup.mutations(IN_ROUTE_53) == []


def test_a_zone_that_is_not_delegated_is_reported_without_waiting_for_acm(
    setup: DomainSetup, monkeypatch: pytest.MonkeyPatch
) -> None:
    """ACM validates a certificate only once DNS contains its record. botocore's waiter gives up after five minutes."""
    acm = setup.aws.client("acm")
    arn = acm.request_certificate(DomainName=NAME, ValidationMethod="DNS")["CertificateArn"]
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
    assert setup.release(IN_ROUTE_53).url == f"https://{NAME}/"


def test_cdk_20090_a_function_url_rejects_other_host_names(bake: Bake, setup: DomainSetup, tmp_path: Path) -> None:
    """aws/aws-cdk#20090. That is why only the HTTP API has [domain]."""
    host = {"Host": NAME}
    url = SampleFunction(setup.aws, tmp_path).public_url()
    assert (send_request(url)[0], send_request(url, headers=host)[0]) == (200, 403)
    without = bake(endpoint="function_url").copy(tmp_path / "function_url")
    without.edit("deploy.toml", "[environment]", f"{OWN_DNS}[environment]")
    rejected = DeployTool(without, setup.aws)("plan")
    assert (rejected.code, rejected.err) == (2, "deploy.toml: domain: unknown key.\nRemove domain.\n")
    setup.create_hosted_zone()
    assert setup.release(IN_ROUTE_53).code == 0
    assert setup.get() == (200, NAME)


def test_a_hosted_zone_that_does_not_exist_is_an_error_after_the_release(setup: DomainSetup) -> None:
    run = setup.release(IN_ROUTE_53)
    assert run.code == 1
    assert run.err == (
        f"Route 53 has no public hosted zone {ZONE}.\n"
        "Correct hosted_zone in deploy.toml, or remove it to create the DNS records yourself.\n"
    )
    assert setup.get("127.0.0.1")[0] == 200
    assert setup.remaining() == []
    assert setup.release().code == 0  # the API has no tag of the domain


def test_a_domain_can_be_removed_after_its_hosted_zone_was_deleted(setup: DomainSetup) -> None:
    zone = setup.create_hosted_zone()
    setup.release(IN_ROUTE_53)
    setup.delete_records(zone)
    setup.aws.client("route53").delete_hosted_zone(Id=zone)
    assert f"\ndomain     {NAME} is not connected yet: run ./deploy.sh\n" in setup.deploy("status").out
    assert setup.release().code == 0
    assert setup.remaining() == []


def test_without_a_hosted_zone_each_deploy_prints_the_next_record_to_create(setup: DomainSetup) -> None:
    first = setup.release(OWN_DNS)
    assert first.code == 0
    assert f"[6/7] Connecting {NAME}... waiting (" in first.out
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
        f"so that {NAME} leads here:\n"
    ) in second.out
    name, value = requested_record(second)
    assert (name, ".execute-api.us-east-1.amazonaws.com" in value) == (NAME, True)
    setup.aws.dns.elsewhere[name, "CNAME"] = value

    third = setup.release(OWN_DNS)
    assert third.url == f"https://{NAME}/"
    assert setup.get() == (200, NAME)
    assert setup.mutations(OWN_DNS) == []


def requested_record(run: Run) -> tuple[str, str]:
    """Return the name and the value of the record that a deploy asks for."""
    (line,) = [line for line in run.out.splitlines() if "  CNAME  " in line]
    name, _, value = line.split()
    return name, value


def test_a_deploy_without_the_table_removes_the_domain(setup: DomainSetup) -> None:
    zone = setup.create_hosted_zone()
    setup.release(IN_ROUTE_53)
    run = setup.release()
    assert run.code == 0, run.err
    assert f"Removing {NAME}..." in run.out
    assert setup.remaining() == []
    assert setup.records(zone) == []
    assert setup.get("127.0.0.1")[0] == 200
    assert setup.mutations("") == []


@pytest.mark.parametrize("kept", [OWN_DNS, ""])
def test_destroy_deletes_a_domain_that_is_not_connected_yet(setup: DomainSetup, kept: str) -> None:
    setup.release(OWN_DNS)
    assert setup.remaining()
    if kept:
        setup.release(kept)
    else:
        setup.remove_from_toml()
    destroyed = setup.deploy("destroy", typed="my-api-prod\n")
    assert f"deleted domain {NAME}\n" in destroyed.out
    assert destroyed.out.endswith("\n0 left\n")
    assert setup.remaining() == []


def test_another_name_replaces_the_previous_one(setup: DomainSetup) -> None:
    zone = setup.create_hosted_zone()
    setup.release(IN_ROUTE_53)
    run = setup.release(IN_ROUTE_53.replace(NAME, f"www.{ZONE}"))
    assert run.url == f"https://www.{ZONE}/", run
    assert {name for name, kind in setup.records(zone) if kind == "A"} == {f"www.{ZONE}."}
    assert setup.get(f"www.{ZONE}") == (200, f"www.{ZONE}")
    assert setup.get()[0] == 403


def test_a_record_that_leads_elsewhere_is_not_overwritten(setup: DomainSetup) -> None:
    zone = setup.create_hosted_zone()
    record = {"Name": NAME, "Type": "A", "TTL": 60, "ResourceRecords": [{"Value": "192.0.2.1"}]}
    setup.aws.client("route53").change_resource_record_sets(
        HostedZoneId=zone, ChangeBatch={"Changes": [{"Action": "CREATE", "ResourceRecordSet": record}]}
    )
    run = setup.release(IN_ROUTE_53)
    assert run.code == 1
    assert run.err == (
        f"{NAME} already has a DNS record of type A in {ZONE}, which leads elsewhere.\n"
        "Delete that record, or choose another name under [domain] in deploy.toml.\n"
    )
    setup.release()
    assert setup.records(zone) == [(f"{NAME}.", "A")]


def test_a_domain_name_of_another_stage_is_not_changed(setup: DomainSetup) -> None:
    zone = setup.create_hosted_zone()
    setup.release(IN_ROUTE_53.replace("[domain]", "[stages.dev.domain]"), "--stage", "dev")
    aliases = [record for record in setup.record_sets(zone) if record["Name"] == f"{NAME}."]
    run = setup.release(IN_ROUTE_53)
    assert run.code == 1
    assert run.err == (
        f"API Gateway already has a domain {NAME}, but this tool did not create it for this stage.\n"
        "Choose another name under [domain] in deploy.toml, or delete it.\n"
    )
    another = setup.release(IN_ROUTE_53.replace(NAME, f"www.{ZONE}"))
    assert another.url == f"https://www.{ZONE}/", another.err
    assert setup.release().code == 0
    assert [record for record in setup.record_sets(zone) if record["Type"] != "CNAME"] == aliases
    assert len(setup.remaining()) == 2


def test_other_stages_do_not_use_the_domain_of_prod(setup: DomainSetup) -> None:
    setup.create_hosted_zone()
    setup.release(IN_ROUTE_53)
    run = setup.release(IN_ROUTE_53, "--stage", "dev")
    assert run.code == 0
    assert run.url.startswith("http://127.0.0.1:")
    assert len(setup.remaining()) == 2


@pytest.mark.parametrize("when", ["before", "after"])
def test_an_interrupted_deploy_is_completed_by_the_next_one(
    monkeypatch: pytest.MonkeyPatch, setup: DomainSetup, when: str
) -> None:
    zone = setup.create_hosted_zone()
    setup.release()
    count = 0
    while True:
        count += 1
        with interrupted(monkeypatch, count, when):
            run = setup.release(IN_ROUTE_53)
        if run.code == 0:
            break
        assert run.code == 130, run
        assert setup.release(IN_ROUTE_53).url == f"https://{NAME}/"
        assert len(setup.remaining()) == 2
        with interrupted(monkeypatch, count, when):
            setup.release()
        assert setup.release().code == 0
        assert setup.remaining() == []
        assert setup.records(zone) == []
    assert count > 5


@contextlib.contextmanager
def interrupted(monkeypatch: pytest.MonkeyPatch, number: int, when: str) -> Iterator[None]:
    """Press Ctrl-C before or after the `number`-th call that changes something."""
    with monkeypatch.context() as patched:
        interrupt_at_change(patched, number, when)
        yield
