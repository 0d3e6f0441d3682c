"""Corrections of Application Auto Scaling."""

from moto.applicationautoscaling.models import applicationautoscaling_backends

from embedded_aws.calls import Call
from embedded_aws.errors import AwsError
from embedded_aws.moto_corrections.correction import Corrections, ServiceCorrections


class ApplicationAutoScalingCorrections(ServiceCorrections):
    """Delete the scheduled actions of a scalable target together with it."""

    def corrections(self) -> Corrections:
        """Return the corrections of calls."""
        return {("application-autoscaling", "DeregisterScalableTarget"): self._deregister_scalable_target}

    def _deregister_scalable_target(self, call: Call) -> None:
        """Delete the scheduled actions of a target with it, and refuse an unknown target. moto does neither.

        https://docs.aws.amazon.com/autoscaling/application/APIReference/API_DeregisterScalableTarget.html
        """
        backend = applicationautoscaling_backends[self._account][call.region]
        resource, dimension = call.params["ResourceId"], call.params["ScalableDimension"]
        if resource not in backend.targets.get(dimension, {}):
            message = f"No scalable target found for service namespace: lambda, resource ID: {resource}"
            raise AwsError("ObjectNotFoundException", f"{message}, scalable dimension: {dimension}")
        backend.scheduled_actions = [a for a in backend.scheduled_actions if a.resource_id != resource]
