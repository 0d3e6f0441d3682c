"""Test the certificates and the custom domains of HTTP APIs."""

from embedded_aws import EmbeddedAws
from embedded_aws.clock import Delays, ManualClock
from tests.support.http_api import create_http_api
from tests.support.sample_function import SampleFunction, raises_client_error, send_request


def test_a_certificate_is_issued_when_public_dns_has_its_record(aws: EmbeddedAws) -> None:
    acm, name = aws.client("acm"), "api.example.com"
    arn = acm.request_certificate(DomainName=name, ValidationMethod="DNS")["CertificateArn"]
    certificate = acm.describe_certificate(CertificateArn=arn)["Certificate"]
    record = certificate["DomainValidationOptions"][0]["ResourceRecord"]
    route53 = aws.client("route53")
    zone = route53.create_hosted_zone(Name="example.com", CallerReference="one")["HostedZone"]["Id"]
    cname = {"Name": record["Name"], "Type": "CNAME", "TTL": 60, "ResourceRecords": [{"Value": record["Value"]}]}
    changes = {"Changes": [{"Action": "CREATE", "ResourceRecordSet": cname}]}
    route53.change_resource_record_sets(HostedZoneId=zone, ChangeBatch=changes)
    aws.clock.advance(3600)
    assert acm.describe_certificate(CertificateArn=arn)["Certificate"]["Status"] == "PENDING_VALIDATION"
    aws.dns.delegated.add("example.com")
    assert acm.describe_certificate(CertificateArn=arn)["Certificate"]["Status"] == "ISSUED"


def test_a_new_certificate_has_no_validation_record_for_a_while() -> None:
    """https://docs.aws.amazon.com/acm/latest/APIReference/API_RequestCertificate.html"""
    with EmbeddedAws(clock=ManualClock(), delays=Delays(certificate_record_s=5)) as aws:
        acm = aws.client("acm")
        arn = acm.request_certificate(DomainName="api.example.com", ValidationMethod="DNS")["CertificateArn"]
        for seconds, has_record in ((0, False), (5, True)):
            aws.clock.advance(seconds)
            (option,) = acm.describe_certificate(CertificateArn=arn)["Certificate"]["DomainValidationOptions"]
            assert ("ResourceRecord" in option) == has_record


def test_a_domain_needs_an_issued_certificate_and_keeps_it_in_use(sample: SampleFunction) -> None:
    api_id, endpoint = create_http_api(
        sample, "def handler(event, context):\n    return event['requestContext']['domainName']\n"
    )
    gateway, acm, name = sample.aws.client("apigatewayv2"), sample.aws.client("acm"), "api.example.com"
    arn = acm.request_certificate(DomainName=name, ValidationMethod="DNS")["CertificateArn"]
    configurations = [{"CertificateArn": arn, "EndpointType": "REGIONAL", "SecurityPolicy": "TLS_1_2"}]
    with raises_client_error("BadRequestException", "not issued"):
        gateway.create_domain_name(DomainName=name, DomainNameConfigurations=configurations)
    certificate = acm.describe_certificate(CertificateArn=arn)["Certificate"]
    record = certificate["DomainValidationOptions"][0]["ResourceRecord"]
    sample.aws.dns.elsewhere[record["Name"].rstrip("."), "CNAME"] = record["Value"].rstrip(".")
    with raises_client_error("BadRequestException", "does not match"):
        gateway.create_domain_name(DomainName="other.example.com", DomainNameConfigurations=configurations)
    created = gateway.create_domain_name(DomainName=name, DomainNameConfigurations=configurations)[
        "DomainNameConfigurations"
    ][0]
    assert created["ApiGatewayDomainName"].endswith(".execute-api.us-east-1.amazonaws.com")
    assert created["HostedZoneId"]
    assert send_request(endpoint, headers={"Host": name})[0] == 403
    gateway.create_api_mapping(DomainName=name, ApiId=api_id, Stage="$default")
    assert send_request(endpoint, headers={"Host": name})[:2] == (200, name.encode())
    with raises_client_error("BadRequestException", "remove all base path mappings"):
        gateway.delete_api(ApiId=api_id)
    with raises_client_error("ResourceInUseException"):
        acm.delete_certificate(CertificateArn=arn)
    gateway.delete_domain_name(DomainName=name)
    acm.delete_certificate(CertificateArn=arn)
    gateway.delete_api(ApiId=api_id)


def test_a_certificate_is_in_use_until_its_last_domain_is_deleted(aws: EmbeddedAws) -> None:
    gateway, acm = aws.client("apigatewayv2"), aws.client("acm")
    arn = acm.request_certificate(DomainName="*.example.com", ValidationMethod="DNS")["CertificateArn"]
    certificate = acm.describe_certificate(CertificateArn=arn)["Certificate"]
    record = certificate["DomainValidationOptions"][0]["ResourceRecord"]
    aws.dns.elsewhere[record["Name"].rstrip("."), "CNAME"] = record["Value"].rstrip(".")
    configurations = [{"CertificateArn": arn, "EndpointType": "REGIONAL", "SecurityPolicy": "TLS_1_2"}]
    names = ["one.example.com", "two.example.com"]
    for name in names:
        gateway.create_domain_name(DomainName=name, DomainNameConfigurations=configurations)
    for name in names:
        with raises_client_error("ResourceInUseException"):
            acm.delete_certificate(CertificateArn=arn)
        gateway.delete_domain_name(DomainName=name)
    acm.delete_certificate(CertificateArn=arn)
