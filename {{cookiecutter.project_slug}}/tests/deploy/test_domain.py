"""A name of the service's own: made where the zone is in Route 53, told where it is not, and taken down again."""

from typing import Any

import pytest
from moto.apigatewayv2.models import DomainName

from tests.deploy.cloud import Cloud

NAME, ZONE = "api.example.com", "example.com"
HERE = f'[domain]\nname = "{NAME}"\n'
IN_ROUTE_53 = f'{HERE}hosted_zone = "{ZONE}"\n'
TARGET = {"apiGatewayDomainName": "d-abc.execute-api.us-east-1.amazonaws.com", "hostedZoneId": "Z1UJRXOUMOOFQ8"}


@pytest.fixture(autouse=True)
def dns(monkeypatch: pytest.MonkeyPatch) -> dict[str, set[str]]:
    """What public DNS says. moto says nothing of where a domain must lead to."""
    says: dict[str, set[str]] = {TARGET["apiGatewayDomainName"]: {"192.0.2.1"}}
    make = DomainName.__init__

    def made(self: Any, *given: Any, **named: Any) -> None:
        make(self, *given, **named)
        self.domain_name_configurations = [self.domain_name_configurations[0] | TARGET]

    monkeypatch.setattr(DomainName, "__init__", made)
    monkeypatch.setattr("deploy.dns._ask", lambda name, kind: says.get(name, set()))
    return says


@pytest.fixture
def zone(cloud: Cloud, dns: dict[str, set[str]]) -> str:
    """A hosted zone that is delegated."""
    made = cloud.client("route53").create_hosted_zone(Name=ZONE, CallerReference="one")
    dns[ZONE] = set(made["DelegationSet"]["NameServers"])
    return str(made["HostedZone"]["Id"])


def issue(monkeypatch: pytest.MonkeyPatch, *, yes: bool) -> None:
    """Lets ACM issue certificates at once, or not at all."""
    monkeypatch.setattr("moto.settings.ACM_VALIDATION_WAIT", -1 if yes else 10**9)


def deploy(cloud: Cloud, domain: str, image: str) -> int:
    (cloud.project / "deploy.toml").write_text(f'name = "my-api"\nregion = "us-east-1"\n{domain}', encoding="utf-8")
    return cloud.run("--image", image)


def records(cloud: Cloud, zone: str) -> list[tuple[str, str]]:
    found = cloud.client("route53").list_resource_record_sets(HostedZoneId=zone)["ResourceRecordSets"]
    return [(one["Name"], one["Type"]) for one in found if one["Type"] not in ("NS", "SOA")]


def left(cloud: Cloud) -> list[object]:
    domains = cloud.client("apigatewayv2").get_domain_names()["Items"]
    return [*domains, *cloud.client("acm").list_certificates()["CertificateSummaryList"]]


def test_with_a_hosted_zone_everything_is_made(
    cloud: Cloud, zone: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    issue(monkeypatch, yes=True)
    image = cloud.push_image()
    assert deploy(cloud, IN_ROUTE_53, image) == 0
    assert capsys.readouterr().out.endswith(f"https://{NAME}/\n")
    assert [kind for name, kind in records(cloud, zone) if name == f"{NAME}."] == ["A", "AAAA"]
    (domain,) = cloud.client("apigatewayv2").get_domain_names()["Items"]
    assert domain["DomainNameConfigurations"][0]["SecurityPolicy"] == "TLS_1_2"
    (mapping,) = cloud.client("apigatewayv2").get_api_mappings(DomainName=NAME)["Items"]
    assert mapping["Stage"] == "$default"

    assert deploy(cloud, IN_ROUTE_53, image) == 0
    assert cloud.mutations == []


def test_it_goes_when_deploy_toml_forgets_it(cloud: Cloud, zone: str, monkeypatch: pytest.MonkeyPatch) -> None:
    issue(monkeypatch, yes=True)
    image = cloud.push_image()
    deploy(cloud, IN_ROUTE_53, image)
    assert deploy(cloud, "", image) == 0
    assert left(cloud) == []
    assert records(cloud, zone) == []


def test_what_still_waits_goes_with_destroy(cloud: Cloud, monkeypatch: pytest.MonkeyPatch) -> None:
    issue(monkeypatch, yes=False)
    assert deploy(cloud, HERE, cloud.push_image()) == 0
    assert left(cloud)
    assert cloud.run("destroy", typed=cloud.name) == 0
    assert left(cloud) == []


def test_without_a_hosted_zone_the_records_are_told(
    cloud: Cloud, dns: dict[str, set[str]], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    image = cloud.push_image()
    issue(monkeypatch, yes=False)
    assert deploy(cloud, HERE, image) == 0
    assert f".{NAME}.  CNAME  _" in capsys.readouterr().out
    issue(monkeypatch, yes=True)
    assert deploy(cloud, HERE, image) == 0
    assert f"  {NAME}  CNAME  {TARGET['apiGatewayDomainName']}" in capsys.readouterr().out
    dns[NAME] = {"192.0.2.1"}
    assert deploy(cloud, HERE, image) == 0
    assert capsys.readouterr().out.endswith(f"https://{NAME}/\n")
    assert cloud.mutations == []


def test_nobody_waits_for_a_zone_that_is_not_delegated(
    cloud: Cloud,
    zone: str,
    dns: dict[str, set[str]],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    dns[ZONE] = {"ns1.registrar.example"}
    issue(monkeypatch, yes=False)
    assert deploy(cloud, IN_ROUTE_53, cloud.push_image()) == 0
    assert (
        f"for {ZONE} to be delegated to Route 53; its name servers are ns1.registrar.example" in capsys.readouterr().out
    )


def test_acm_is_not_waited_for_without_end(
    cloud: Cloud, zone: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    issue(monkeypatch, yes=False)
    monkeypatch.setattr("deploy.resources.domain.ISSUE_S", 0)
    assert deploy(cloud, IN_ROUTE_53, cloud.push_image()) == 0
    assert "for ACM to issue the certificate: its DNS record is in place" in capsys.readouterr().out


def test_a_domain_that_is_not_ours_is_left_alone(
    cloud: Cloud, zone: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    issue(monkeypatch, yes=True)
    certificate = cloud.client("acm").request_certificate(DomainName=NAME)["CertificateArn"]
    configuration = {"CertificateArn": certificate, "EndpointType": "REGIONAL"}
    cloud.client("apigatewayv2").create_domain_name(DomainName=NAME, DomainNameConfigurations=[configuration])
    image = cloud.push_image()
    assert deploy(cloud, IN_ROUTE_53, image) == 1
    assert f"API Gateway has a domain {NAME} already" in capsys.readouterr().err
    deploy(cloud, "", image)
    assert len(cloud.client("apigatewayv2").get_domain_names()["Items"]) == 1
