"""Corrections of Elastic Container Registry. `ecr/images.py` also keeps an image whose tag moves to another image."""

import json
from typing import Any

from moto.core.responses import ActionResult
from moto.ecr.models import ecr_backends
from moto.ecr.responses import ECRResponse
from werkzeug import Response

from embedded_aws.calls import Call
from embedded_aws.ecr.images import is_archived
from embedded_aws.errors import AwsError
from embedded_aws.moto_corrections.correction import Corrections, EditResponse, Patch, ServiceCorrections


class EcrCorrections(ServiceCorrections):
    """Archive and restore images, and complete the response to BatchDeleteImage."""

    def corrections(self) -> Corrections:
        """Return the corrections of calls."""
        return {
            ("ecr", "BatchDeleteImage"): self._batch_delete_image,
            ("ecr", "BatchGetImage"): self._batch_get_image,
            ("ecr", "DescribeImages"): self._describe_images,
            ("ecr", "ListImages"): self._list_images,
        }

    def patches(self) -> list[Patch]:
        """Return the operation UpdateImageStorageClass, which moto does not have."""
        return [(ECRResponse, "update_image_storage_class", _update_image_storage_class)]

    def _batch_delete_image(self, call: Call) -> EditResponse | None:
        """List every deleted image in the response. moto leaves out images without a tag.

        https://docs.aws.amazon.com/AmazonECR/latest/APIReference/API_BatchDeleteImage.html
        """
        digests = {image_id.get("imageDigest") for image_id in call.params["imageIds"]}
        untagged = [
            image.get_image_digest()
            for image in self._images(call)
            if not image.image_tags and image.get_image_digest() in digests
        ]

        def add_untagged(response: Response) -> None:
            members: Any = response.get_json(force=True)
            members["imageIds"] += [{"imageDigest": digest} for digest in untagged]
            response.set_data(json.dumps(members))

        return add_untagged if untagged else None

    def _batch_get_image(self, call: Call) -> EditResponse:
        """Report archived images as not found. moto returns them.

        https://docs.aws.amazon.com/AmazonECR/latest/userguide/archive-image.html
        """
        archived = [image_id for image_id in call.params["imageIds"] if self._is_archived(call, image_id)]
        archived_digests = {image.get_image_digest() for image in self._images(call) if is_archived(image)}

        def report_failures(response: Response) -> None:
            members: Any = response.get_json(force=True)
            members["images"] = [
                image for image in members["images"] if image["imageId"]["imageDigest"] not in archived_digests
            ]
            members["failures"] = members.get("failures", []) + [
                {"imageId": image_id, "failureCode": "ImageNotFound", "failureReason": "Requested image not found"}
                for image_id in archived
            ]
            response.set_data(json.dumps(members))

        return report_failures

    def _describe_images(self, call: Call) -> EditResponse:
        """Leave out the images that do not have the requested status. moto describes all images.

        https://docs.aws.amazon.com/AmazonECR/latest/APIReference/API_DescribeImagesFilter.html
        """
        if not call.params.get("filter", {}).get("imageStatus"):
            self._refuse_archived(call, call.params.get("imageIds", []))
        return self._with_status(call, "imageDetails")

    def _list_images(self, call: Call) -> EditResponse:
        """Leave out the images that do not have the requested status. moto lists all images.

        https://docs.aws.amazon.com/AmazonECR/latest/APIReference/API_ListImagesFilter.html
        """
        return self._with_status(call, "imageIds")

    def _with_status(self, call: Call, key: str) -> EditResponse:
        """Return a function that removes the images with another status from a part of the response."""
        requested = call.params.get("filter", {}).get("imageStatus", "ACTIVE")
        archived = {image.get_image_digest() for image in self._images(call) if is_archived(image)}

        def select(response: Response) -> None:
            members: Any = response.get_json(force=True)
            selected = []
            for image in members[key]:
                status = "ARCHIVED" if image["imageDigest"] in archived else "ACTIVE"
                if requested in (status, "ANY"):
                    selected.append({**image, "imageStatus": status} if key == "imageDetails" else image)
            response.set_data(json.dumps({**members, key: selected}))

        return select

    def _refuse_archived(self, call: Call, image_ids: list[dict[str, str]]) -> None:
        for image_id in image_ids:
            if self._is_archived(call, image_id):
                message = f"The image with imageId {image_id} does not exist within the repository"
                raise AwsError("ImageNotFoundException", message)

    def _is_archived(self, call: Call, image_id: dict[str, str]) -> bool:
        """Return True if the tag or the digest is that of an archived image."""
        return any(
            is_archived(image)
            and (
                image_id.get("imageDigest") == image.get_image_digest() or image_id.get("imageTag") in image.image_tags
            )
            for image in self._images(call)
        )

    def _images(self, call: Call) -> list[Any]:
        """Return moto's images in the repository that the call names."""
        repository = ecr_backends[self._account][call.region].repositories.get(call.params["repositoryName"])
        return list(repository.images) if repository else []


def _update_image_storage_class(self: ECRResponse) -> ActionResult:
    """Archive an image, or restore it. AWS takes up to 20 minutes to restore an image; here it is active immediately.

    https://docs.aws.amazon.com/AmazonECR/latest/APIReference/API_UpdateImageStorageClass.html
    """
    repository, image_id = self._get_param("repositoryName"), self._get_param("imageId")
    images: Any = self.ecr_backend.describe_images(repository, image_ids=[image_id])
    (image,) = images
    image.image_status = "ARCHIVED" if self._get_param("targetStorageClass") == "ARCHIVE" else "ACTIVE"
    return ActionResult({"repositoryName": repository, "imageId": image_id, "imageStatus": image.image_status})
