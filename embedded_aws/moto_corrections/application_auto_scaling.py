"""Corrections of Application Auto Scaling."""

from moto.applicationautoscaling.models import applicationautoscaling_backends
from werkzeug import Response

from embedded_aws.calls import Call
from embedded_aws.errors import AwsError
from embedded_aws.moto_corrections.correction import Corrections, EditResponse, ServiceCorrections


class ApplicationAutoScalingCorrections(ServiceCorrections):
    """Store the tags of scalable targets, and delete their scheduled actions together with them."""

    def corrections(self) -> Corrections:
        """Return the corrections of calls."""
        return {
            ("application-autoscaling", "DeregisterScalableTarget"): self._deregister_scalable_target,
            ("application-autoscaling", "RegisterScalableTarget"): self._register_scalable_target,
        }

    def _register_scalable_target(self, call: Call) -> EditResponse:
        """Store the tags of a target, with which permissions are checked. moto does not.

        https://docs.aws.amazon.com/autoscaling/application/APIReference/API_RegisterScalableTarget.html
        """
        targets = applicationautoscaling_backends[self._account][call.region].targets
        resource, dimension = call.params["ResourceId"], call.params["ScalableDimension"]

        def store_tags(_: Response) -> None:
            if tags := call.params.get("Tags"):
                targets[dimension][resource].tags = tags  # type: ignore[attr-defined]

        return store_tags

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
