"""The certificate of the domain, from AWS Certificate Manager (ACM)."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from typing import Any

from botocore.exceptions import ClientError

from deploy.errors import DeployError, error_code, suppress_errors
from deploy.iam import Statement, allow, tag_condition
from deploy.resources.hosted_zone import Record
from deploy.stage import Stage, tag_list
from deploy.state import tag_dict

Certificate = dict[str, Any]  # as DescribeCertificate returns it

ISSUED = "ISSUED"
USABLE = (ISSUED, "PENDING_VALIDATION")
ISSUE_TIMEOUT_S = 600  # ACM usually needs some minutes; botocore's waiter stops after five
ISSUE_POLL_S = 5


class Certificates:
    """The certificates that this tool requested for a name. There are several if one of them could not be issued."""

    def __init__(self, stage: Stage, name: str) -> None:
        self.stage = stage
        self.name = name

    def read(self) -> list[Certificate]:
        """Return the certificates, the one to use first."""
        client = self.stage.client("acm")
        summaries = self.stage.list_all("acm", "list_certificates", "CertificateSummaryList")
        certificates = []
        for arn in [summary["CertificateArn"] for summary in summaries if summary["DomainName"] == self.name]:
            tags = client.list_tags_for_certificate(CertificateArn=arn)["Tags"]
            if self.stage.tags.items() <= tag_dict(tags).items():
                certificates.append(self._describe(arn) | {"tags": tag_dict(tags)})
        return sorted(certificates, key=lambda item: (item["Status"] in USABLE, item["CreatedAt"]), reverse=True)

    def _describe(self, arn: str) -> Certificate:
        return {**self.stage.client("acm").describe_certificate(CertificateArn=arn)["Certificate"]}

    def find_or_request(self, api_id: str) -> Certificate:
        """Return the certificate to use. Request one, and wait for its validation record, if there is none.

        With the same token, which depends on `api_id`, a repeated request does not create a second certificate for an
        hour. A new one must replace a certificate that could not be issued, so the token depends on those as well.
        """
        existing = self.read()
        for certificate in existing:
            if certificate["Status"] == ISSUED or (certificate["Status"] in USABLE and validation_record(certificate)):
                return certificate
        failed = sorted(item["CertificateArn"] for item in existing if item["Status"] not in USABLE)
        arn = self.stage.client("acm").request_certificate(
            DomainName=self.name,
            ValidationMethod="DNS",
            IdempotencyToken=hashlib.sha256(" ".join([api_id, self.name, *failed]).encode()).hexdigest()[:32],
            Tags=self.stage.tag_list,
        )["CertificateArn"]
        requested: Certificate = {}

        def has_record() -> bool:
            requested.update(self._describe(arn))
            return validation_record(requested) is not None

        self.stage.wait_until(has_record, f"ACM did not return the validation record of the certificate of {self.name}")
        return requested

    def wait_until_issued(self, arn: str) -> bool:
        """Return False if ACM does not issue the certificate in time. Raise DeployError if it never will."""
        deadline = self.stage.clock() + ISSUE_TIMEOUT_S
        while not self._is_issued(arn):
            if self.stage.clock() >= deadline:
                return False
            self.stage.sleep(ISSUE_POLL_S)
        return True

    def _is_issued(self, arn: str) -> bool:
        certificate = self._describe(arn)
        status = certificate["Status"]
        if status not in USABLE:
            reason = certificate.get("FailureReason", "it gave no reason")
            raise DeployError(
                f"ACM did not issue a certificate for {self.name}: {status}, {reason}.",
                "The service itself is live. Fix the cause, then run ./deploy.sh again.",
            )
        return bool(status == ISSUED)

    def delete(self, arn: str) -> None:
        """Delete a certificate. API Gateway uses it for some time after the domain was deleted."""

        def is_deleted() -> bool:
            try:
                with suppress_errors("ResourceNotFoundException"):
                    self.stage.client("acm").delete_certificate(CertificateArn=arn)
            except ClientError as error:
                if error_code(error) != "ResourceInUseException":
                    raise
                return False
            return True

        self.stage.wait_until(is_deleted, f"API Gateway did not release the certificate of {self.name}")

    def add_tags(self, tags: Mapping[str, str]) -> None:
        """Add tags to all certificates, together with those of the stage, without which GitHub's role may not add any."""
        for certificate in self.read():
            self.stage.client("acm").add_tags_to_certificate(
                CertificateArn=certificate["CertificateArn"], Tags=tag_list({**self.stage.tags, **tags})
            )

    def remove_tags(self, keys: Sequence[str]) -> None:
        """Remove tags from all certificates."""
        for certificate in self.read():
            values = certificate["tags"]
            tags: Any = [{"Key": key, "Value": values[key]} for key in keys if key in values]
            self.stage.client("acm").remove_tags_from_certificate(
                CertificateArn=certificate["CertificateArn"], Tags=tags
            )

    def tag_permissions(self) -> list[Statement]:
        """Return the statements that changes of `tags` in deploy.toml need."""
        arn = self.stage.arn("acm", "certificate/*")
        return [allow("acm", "RemoveTagsFromCertificate", arn, when=tag_condition("Resource", self.stage.tags))]

    def permissions(self) -> list[Statement]:
        """Return the statements that a deploy needs. ACM chooses the ID of a certificate, so tags restrict them."""
        arn, tags = self.stage.arn("acm", "certificate/*"), self.stage.tags
        return [
            allow("acm", "ListCertificates", "*"),
            allow("acm", "RequestCertificate AddTagsToCertificate", "*", when=tag_condition("Request", tags)),
            allow("acm", "ListTagsForCertificate", arn),
            allow("acm", "DescribeCertificate DeleteCertificate", arn, when=tag_condition("Resource", tags)),
        ]


def validation_record(certificate: Certificate) -> Record | None:
    """Return the DNS record that proves the ownership of the name, or None if ACM has not returned it yet."""
    for option in certificate.get("DomainValidationOptions", []):
        if record := option.get("ResourceRecord"):
            value = {"Value": record["Value"]}
            return {"Name": record["Name"], "Type": "CNAME", "TTL": 300, "ResourceRecords": [value]}
    return None
