"""Does a name of one's own come up, wait for DNS and go on, serve, move and go again, with nothing left behind?"""

import contextlib
import http.client
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import WaiterError

from tests.conftest import Bake
from tests.deploying import InProcess, Run, write_handler
from tests.embedded_aws import EmbeddedAws, ManualClock
from tests.embedded_aws.sample import Sample, ask
from tests.scene import interrupt

HANDLER = """
def handler(event, context):
    return {"statusCode": 200, "body": event["requestContext"]["domainName"]}
"""
NAME, ZONE = "api.example.com", "example.com"
HERE = f'[domain]\nname = "{NAME}"\n'
IN_ROUTE_53 = f'{HERE}hosted_zone = "{ZONE}"\n'


class Scene:
    """A project in front of an embedded AWS whose public DNS the deploy tool asks too."""

    def __init__(self, aws: EmbeddedAws, project: Path, deploy: InProcess, image: str) -> None:
        self.aws = aws
        self._toml = project / "deploy.toml"
        self._text = self._toml.read_text("utf-8")
        self.deploy = deploy
        self._image = image

    def run(self, domain: str = "", *arguments: str) -> Run:
        self._toml.write_text(self._text + domain, encoding="utf-8")
        return self.deploy(*arguments, "--image", self._image)

    def forget(self) -> None:
        """deploy.toml says nothing of a domain any more, and nothing has been run since."""
        self._toml.write_text(self._text, encoding="utf-8")

    def hosted_zone(self, *, delegated: bool = True) -> str:
        zone = self.aws.client("route53").create_hosted_zone(Name=ZONE, CallerReference="one")
        if delegated:
            self.aws.dns.delegated.add(ZONE)
        return str(zone["HostedZone"]["Id"])

    def records(self, zone: str) -> list[tuple[str, str]]:
        """All that somebody has put into the zone."""
        found = self.aws.client("route53").list_resource_record_sets(HostedZoneId=zone)["ResourceRecordSets"]
        return [(one["Name"], one["Type"]) for one in found if one["Type"] not in ("NS", "SOA")]

    def empty(self, zone: str) -> None:
        """Somebody deletes all records."""
        route53 = self.aws.client("route53")
        for one in route53.list_resource_record_sets(HostedZoneId=zone)["ResourceRecordSets"]:
            if one["Type"] not in ("NS", "SOA"):
                changes = [{"Action": "DELETE", "ResourceRecordSet": one}]
                route53.change_resource_record_sets(HostedZoneId=zone, ChangeBatch={"Changes": changes})

    def left(self) -> list[Any]:
        """What there is of domains and certificates."""
        domains = self.aws.client("apigatewayv2").get_domain_names()["Items"]
        return [*domains, *self.aws.client("acm").list_certificates()["CertificateSummaryList"]]

    def answer(self, host: str = NAME) -> tuple[int, str]:
        """What somebody gets who follows DNS to this API."""
        (api,) = self.aws.client("apigatewayv2").get_apis()["Items"]
        connection = http.client.HTTPConnection(api["ApiEndpoint"].removeprefix("http://"), timeout=10)
        connection.request("GET", "/", headers={"Host": host})
        response = connection.getresponse()
        return response.status, response.read().decode()


@pytest.fixture
def on(bake: Bake, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Scene]:
    project = bake(endpoint="http_api").copy(tmp_path / "project")
    root = write_handler(tmp_path / "root", HANDLER)
    with EmbeddedAws(clock=ManualClock()) as aws:
        deploy = InProcess(project, aws)
        asked: dict[str, Callable[[str], set[str]]] = {
            "name_servers": aws.dns.name_servers,
            "addresses": aws.dns.addresses,
        }
        for name, ask in asked.items():
            monkeypatch.setattr(f"deploy.dns.{name}", ask)
        yield Scene(aws, project.path, deploy, aws.push_image("built-elsewhere", root))


def test_with_a_hosted_zone_one_run_does_it_all(on: Scene) -> None:
    zone = on.hosted_zone()
    run = on.run(IN_ROUTE_53)
    assert run.code == 0, run.err
    assert f"[6/7] Connecting {NAME}..." in run.out
    assert run.url == f"https://{NAME}/"
    assert on.answer() == (200, NAME)
    assert [(name, kind) for name, kind in on.records(zone) if name == f"{NAME}."] == [
        (f"{NAME}.", "A"),
        (f"{NAME}.", "AAAA"),
    ]
    (domain,) = on.aws.client("apigatewayv2").get_domain_names()["Items"]
    (configuration,) = domain["DomainNameConfigurations"]
    assert (configuration["EndpointType"], configuration["SecurityPolicy"]) == ("REGIONAL", "TLS_1_2")
    assert "leads here" in on.deploy("status").out

    before = len(on.aws.calls)
    again = on.run(IN_ROUTE_53)
    assert again.code == 0
    assert [call.operation for call in on.aws.calls[before:] if call.mutating] == []


def test_acm_waits_for_dns_so_a_zone_that_is_not_delegated_is_told_before_anybody_waits(
    on: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A certificate is PENDING_VALIDATION for as long, and botocore's waiter gives up after five minutes."""
    acm = on.aws.client("acm")
    arn = acm.request_certificate(DomainName=NAME, ValidationMethod="DNS")["CertificateArn"]
    monkeypatch.setattr("botocore.waiter.time", on.aws.clock)
    with pytest.raises(WaiterError, match="Max attempts exceeded"):
        acm.get_waiter("certificate_validated").wait(CertificateArn=arn)
    assert acm.describe_certificate(CertificateArn=arn)["Certificate"]["Status"] == "PENDING_VALIDATION"

    on.hosted_zone(delegated=False)
    began = on.aws.clock.time()
    run = on.run(IN_ROUTE_53)
    assert run.code == 0
    assert f"for {ZONE} to be delegated to Route 53; its name servers are none" in run.out
    assert f"Where {ZONE} is registered, set them to: ns-" in run.out
    assert on.aws.clock.time() - began < 120
    assert run.out.endswith("run ./deploy.sh again.\n")
    on.aws.dns.delegated.add(ZONE)
    assert on.run(IN_ROUTE_53).url == f"https://{NAME}/"


def test_cdk_20090_a_function_url_answers_to_no_name_but_its_own(bake: Bake, on: Scene, tmp_path: Path) -> None:
    """aws/aws-cdk#20090: so [domain] is for the HTTP API only."""
    host = {"Host": NAME}
    url = Sample(on.aws, tmp_path).public_url()
    assert (ask(url)[0], ask(url, headers=host)[0]) == (200, 403)
    without = bake(endpoint="function_url").copy(tmp_path / "function_url")
    without.edit("deploy.toml", "[environment]", f"{HERE}[environment]")
    refused = InProcess(without, on.aws)("plan")
    assert (refused.code, refused.err.partition(".\n")[0]) == (2, "deploy.toml: domain: unknown key")
    on.hosted_zone()
    assert on.run(IN_ROUTE_53).code == 0
    assert on.answer() == (200, NAME)


def test_a_zone_that_does_not_exist_is_named_and_the_service_is_live(on: Scene) -> None:
    run = on.run(IN_ROUTE_53)
    assert run.code == 1
    assert run.err.startswith(f"There is no public hosted zone {ZONE} in Route 53.\n")
    assert on.answer("127.0.0.1")[0] == 200
    assert on.left() == []
    assert on.run().code == 0  # nothing remembers it


def test_a_zone_that_is_gone_is_no_obstacle(on: Scene) -> None:
    zone = on.hosted_zone()
    on.run(IN_ROUTE_53)
    on.empty(zone)
    on.aws.client("route53").delete_hosted_zone(Id=zone)
    assert "not yet" in on.deploy("status").out
    assert on.run().code == 0
    assert on.left() == []


def test_without_a_hosted_zone_each_record_is_told_and_the_next_run_goes_on(on: Scene) -> None:
    first = on.run(HERE)
    assert first.code == 0
    assert "waiting" in first.out
    name, value = told(first)
    assert name.startswith("_")
    assert told(on.run(HERE)) == (name, value)
    on.aws.dns.elsewhere[name.rstrip("."), "CNAME"] = value.rstrip(".")

    second = on.run(HERE)
    assert second.code == 0
    name, value = told(second)
    assert (name, ".execute-api.us-east-1.amazonaws.com" in value) == (NAME, True)
    on.aws.dns.elsewhere[name, "CNAME"] = value

    third = on.run(HERE)
    assert third.url == f"https://{NAME}/"
    assert on.answer() == (200, NAME)
    before = len(on.aws.calls)
    on.run(HERE)
    assert [call.operation for call in on.aws.calls[before:] if call.mutating] == []


def told(run: Run) -> tuple[str, str]:
    """Name and value of the record that a run asks for."""
    (line,) = [line for line in run.out.splitlines() if "  CNAME  " in line]
    name, _, value = line.split()
    return name, value


def test_removed_from_deploy_toml_it_is_taken_down(on: Scene) -> None:
    zone = on.hosted_zone()
    on.run(IN_ROUTE_53)
    run = on.run()
    assert run.code == 0, run.err
    assert f"Removing {NAME}..." in run.out
    assert on.left() == []
    assert on.records(zone) == []
    assert on.answer("127.0.0.1")[0] == 200
    before = len(on.aws.calls)
    on.run()
    assert [call.operation for call in on.aws.calls[before:] if call.mutating] == []


@pytest.mark.parametrize("kept", [HERE, ""])
def test_one_that_still_waits_goes_with_destroy(on: Scene, kept: str) -> None:
    on.run(HERE)
    assert on.left()
    if kept:
        on.run(kept)
    else:
        on.forget()
    gone = on.deploy("destroy", typed="my-api-prod\n")
    assert f"deleted domain {NAME}" in gone.out
    assert gone.out.endswith("\n0 left\n")
    assert on.left() == []


def test_another_name_takes_the_place_of_the_old_one(on: Scene) -> None:
    zone = on.hosted_zone()
    on.run(IN_ROUTE_53)
    run = on.run(IN_ROUTE_53.replace(NAME, f"www.{ZONE}"))
    assert run.url == f"https://www.{ZONE}/", run
    assert {name for name, kind in on.records(zone) if kind == "A"} == {f"www.{ZONE}."}
    assert on.answer(f"www.{ZONE}") == (200, f"www.{ZONE}")
    assert on.answer()[0] == 403


def test_a_record_that_leads_elsewhere_is_not_overwritten(on: Scene) -> None:
    zone = on.hosted_zone()
    record = {"Name": NAME, "Type": "A", "TTL": 60, "ResourceRecords": [{"Value": "192.0.2.1"}]}
    on.aws.client("route53").change_resource_record_sets(
        HostedZoneId=zone, ChangeBatch={"Changes": [{"Action": "CREATE", "ResourceRecordSet": record}]}
    )
    run = on.run(IN_ROUTE_53)
    assert run.code == 1
    assert run.err.startswith(f"{NAME} leads somewhere else already: there is a record of type A in {ZONE}.\n")
    on.run()
    assert on.records(zone) == [(f"{NAME}.", "A")]


def test_other_stages_do_not_take_it(on: Scene) -> None:
    on.hosted_zone()
    on.run(IN_ROUTE_53)
    run = on.run(IN_ROUTE_53, "--stage", "dev")
    assert run.code == 0
    assert run.url.startswith("http://127.0.0.1:")
    assert len(on.left()) == 2


@pytest.mark.parametrize("when", ["before", "after"])
def test_interrupted_at_every_change_the_next_run_converges(
    monkeypatch: pytest.MonkeyPatch, on: Scene, when: str
) -> None:
    zone = on.hosted_zone()
    on.run()
    count = 0
    while True:
        count += 1
        with interrupted(monkeypatch, count, when):
            run = on.run(IN_ROUTE_53)
        if run.code == 0:
            break
        assert run.code == 130, run
        assert on.run(IN_ROUTE_53).url == f"https://{NAME}/"
        assert len(on.left()) == 2
        with interrupted(monkeypatch, count, when):
            on.run()
        assert on.run().code == 0
        assert on.left() == []
        assert on.records(zone) == []
    assert count > 5


@contextlib.contextmanager
def interrupted(monkeypatch: pytest.MonkeyPatch, number: int, when: str) -> Iterator[None]:
    """Ctrl-C before or after the `number`-th call that changes something."""
    with monkeypatch.context() as patched:
        interrupt(patched, number, when)
        yield
