"""The ECR repository that contains the service's images."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from deploy.errors import suppress_errors
from deploy.iam import Statement, allow
from deploy.image import list_images
from deploy.resource import Cost, Outputs, Phase, Prices, Resource
from deploy.stage import tag_list
from deploy.state import State


class Repository(Resource):
    """The repository. It has no lifecycle policy: one that expires images could delete the live one (METR/hawk#950)."""

    kind = "ECR repository"
    has_tags = True
    phase = Phase.BEFORE_PUSH

    def desired(self) -> State:
        return {"imageTagMutability": "IMMUTABLE"}  # a tag is a hash of the image's content

    def read(self) -> State | None:
        ecr = self.stage.client("ecr")
        with suppress_errors("RepositoryNotFoundException"):
            repository = ecr.describe_repositories(repositoryNames=[self.name])["repositories"][0]
            tags = ecr.list_tags_for_resource(resourceArn=repository["repositoryArn"])["tags"]
            return {**repository, "tags": tags}
        return None

    def outputs(self, state: State | None) -> Outputs:
        """Return the URI of the repository."""
        return {"repository.uri": state["repositoryUri"]} if state else {}

    def create(self, desired: State) -> Outputs:
        response = self.stage.client("ecr").create_repository(
            repositoryName=self.name, tags=self.stage.tag_list, imageTagMutability=desired["imageTagMutability"]
        )
        return {"repository.uri": response["repository"]["repositoryUri"]}

    def update(self, changed: State) -> None:
        self.stage.client("ecr").put_image_tag_mutability(repositoryName=self.name, **changed)

    def delete(self) -> None:
        """Delete the repository with its images."""
        self.stage.client("ecr").delete_repository(repositoryName=self.name, force=True)

    def add_tags(self, tags: Mapping[str, str]) -> None:
        self.stage.client("ecr").tag_resource(resourceArn=self._arn, tags=tag_list(tags))

    def remove_tags(self, keys: Sequence[str]) -> None:
        self.stage.client("ecr").untag_resource(resourceArn=self._arn, tagKeys=keys)

    def tag_permissions(self) -> list[Statement]:
        return [allow("ecr", "UntagResource", self._arn)]

    def deploy_permissions(self) -> list[Statement]:
        """Include what `docker push` needs, and what Lambda needs to allow itself to pull the image."""
        actions = """
            BatchCheckLayerAvailability BatchDeleteImage BatchGetImage CompleteLayerUpload CreateRepository
            DescribeImages DescribeRepositories GetRepositoryPolicy InitiateLayerUpload ListTagsForResource PutImage
            PutImageTagMutability SetRepositoryPolicy TagResource UploadLayerPart
        """
        return [allow("ecr", actions, self._arn), allow("ecr", "GetAuthorizationToken", "*")]

    def destroy_permissions(self) -> list[Statement]:
        return [allow("ecr", "DeleteRepository", self._arn)]

    @property
    def _arn(self) -> str:
        return self.stage.arn("ecr", f"repository/{self.name}")

    def fixed_costs(self, prices: Prices, *, versions: int) -> list[Cost]:
        """Images share layers, which are stored once, so the actual cost may be lower. Archived ones cost the same."""
        stored_gb = sum(image["imageSizeInBytes"] for image in list_images(self.stage)) / 1024**3
        return [Cost(f"images, up to {stored_gb:.2f} GB", stored_gb * prices["ecr"]["gb"])]
