"""Corrections of Elastic Container Registry. `ecr/images.py` also keeps an image whose tag moves to another image."""

import json
from typing import Any

from moto.ecr.models import ecr_backends
from werkzeug import Response

from embedded_aws.calls import Call
from embedded_aws.moto_corrections.correction import Corrections, EditResponse, ServiceCorrections


class EcrCorrections(ServiceCorrections):
    """Complete the response to BatchDeleteImage."""

    def corrections(self) -> Corrections:
        """Return the corrections of calls."""
        return {("ecr", "BatchDeleteImage"): self._batch_delete_image}

    def _batch_delete_image(self, call: Call) -> EditResponse | None:
        """List every deleted image in the response. moto leaves out images without a tag.

        https://docs.aws.amazon.com/AmazonECR/latest/APIReference/API_BatchDeleteImage.html
        """
        repository = ecr_backends[self._account][call.region].repositories.get(call.params["repositoryName"])
        digests = {image_id.get("imageDigest") for image_id in call.params["imageIds"]}
        untagged = [
            image.get_image_digest()
            for image in (repository.images if repository else [])
            if not image.image_tags and image.get_image_digest() in digests
        ]

        def add_untagged(response: Response) -> None:
            members: Any = response.get_json(force=True)
            members["imageIds"] += [{"imageDigest": digest} for digest in untagged]
            response.set_data(json.dumps(members))

        return add_untagged if untagged else None
