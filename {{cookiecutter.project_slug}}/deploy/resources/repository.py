"""The ECR repository of the service's images."""

from deploy.aws import absent_is_none
from deploy.resource import Resource, State


class Repository(Resource):
    """No lifecycle rule: one that expires by age or count deletes the image that is live (METR/hawk#950)."""

    kind = "ECR repository"

    def desired(self) -> State:
        return {"imageTagMutability": "IMMUTABLE"}  # a tag is the hash of what is in the image

    def read(self) -> State | None:
        with absent_is_none("RepositoryNotFoundException"):
            found = self.aws.ecr.describe_repositories(repositoryNames=[self.name])["repositories"][0]
            tags = self.aws.ecr.list_tags_for_resource(resourceArn=found["repositoryArn"])["tags"]
            return {**found, "tags": tags}
        return None

    def create(self) -> None:
        self.aws.ecr.create_repository(repositoryName=self.name, tags=self.service.tag_list, **self.desired())

    def update(self, changed: State) -> None:
        self.aws.ecr.put_image_tag_mutability(repositoryName=self.name, **changed)

    def delete(self) -> None:
        self.aws.ecr.delete_repository(repositoryName=self.name, force=True)
