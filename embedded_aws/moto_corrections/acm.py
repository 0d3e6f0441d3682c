"""Corrections of AWS Certificate Manager."""

import json
from typing import Any

from moto.acm.models import AWSCertificateManagerBackend, CertBundle, acm_backends
from werkzeug import Response

from embedded_aws.calls import Call
from embedded_aws.clock import Clock, Delays
from embedded_aws.errors import AwsError
from embedded_aws.moto_corrections.correction import Corrections, EditResponse, Patch, ServiceCorrections
from embedded_aws.route53.public_dns import PublicDns


class AcmCorrections(ServiceCorrections):
    """Issue certificates after DNS validation, and keep those that are in use."""

    def __init__(self, account: str, clock: Clock, delays: Delays, dns: PublicDns) -> None:
        super().__init__(account)
        self._clock = clock
        self._delays = delays
        self._requested_at: dict[str, float] = {}  # by ARN
        self._dns = dns

    def corrections(self) -> Corrections:
        """Return the corrections of calls."""
        return {
            ("acm", "DeleteCertificate"): self._delete_certificate,
            ("acm", "DescribeCertificate"): self._describe_certificate,
            ("acm", "RequestCertificate"): self._request_certificate,
        }

    def patches(self) -> list[Patch]:
        """Return the replacement of CertBundle.check, which runs whenever moto reads a certificate."""
        dns = self._dns

        def check(certificate: CertBundle) -> None:
            """Issue a certificate when public DNS contains its validation record. moto issues it after a minute.

            https://docs.aws.amazon.com/acm/latest/userguide/dns-validation.html
            """
            if certificate.type == "AMAZON_ISSUED" and certificate.status == "PENDING_VALIDATION":
                record = certificate.describe()["Certificate"]["DomainValidationOptions"][0]["ResourceRecord"]
                if dns.resolve(record["Name"], "CNAME") == record["Value"].rstrip("."):
                    certificate.status = "ISSUED"

        return [(CertBundle, "check", check)]

    def _request_certificate(self, call: Call) -> EditResponse:
        """Remember when a certificate was requested (see DescribeCertificate)."""

        def remember(response: Response) -> None:
            members: Any = response.get_json(force=True)
            self._requested_at.setdefault(members["CertificateArn"], self._clock.time())

        return remember

    def _describe_certificate(self, call: Call) -> EditResponse | None:
        """Leave out the validation record for `Delays.certificate_record_s`. moto returns it immediately.

        https://docs.aws.amazon.com/acm/latest/APIReference/API_RequestCertificate.html
        """
        requested_at = self._requested_at.get(call.params["CertificateArn"])
        if requested_at is None or self._clock.time() - requested_at >= self._delays.certificate_record_s:
            return None

        def remove_records(response: Response) -> None:
            members: Any = response.get_json(force=True)
            for option in members["Certificate"]["DomainValidationOptions"]:
                del option["ResourceRecord"]
            response.set_data(json.dumps(members))

        return remove_records

    def _delete_certificate(self, call: Call) -> None:
        """Refuse to delete a certificate that is in use. moto deletes it.

        moto also keeps the idempotency token of a deleted certificate, and fails if the token is used again.
        https://docs.aws.amazon.com/acm/latest/APIReference/API_DeleteCertificate.html
        """
        backend, arn = acm_backends[self._account][call.region], call.params["CertificateArn"]
        certificate = find_certificate(backend, arn)
        if certificate and certificate.in_use_by:
            raise AwsError("ResourceInUseException", f"Certificate {arn} in use")
        tokens = backend._idempotency_tokens
        for token in [token for token, request in tokens.items() if request["arn"] == arn]:
            del tokens[token]


def find_certificate(backend: AWSCertificateManagerBackend, arn: str) -> CertBundle | None:
    """Return a certificate after an update of its status, or None if it does not exist."""
    return backend.get_certificate(arn) if arn in backend._certificates else None
