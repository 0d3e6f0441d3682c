"""The log group of the function."""

from deploy.resource import Resource, State


class LogGroup(Resource):
    """Made before the function: one that Lambda makes itself never expires."""

    kind = "log group"

    @property
    def name(self) -> str:
        return self.service.log_group

    @property
    def arn(self) -> str:
        return self.aws.arn("logs", f"log-group:{self.name}")

    def desired(self) -> State:
        return {"retentionInDays": self.service.log_retention_days}

    def read(self) -> State | None:
        for group in self.aws.logs.describe_log_groups(logGroupNamePrefix=self.name)["logGroups"]:
            if group["logGroupName"] == self.name:
                return {**group, **self.aws.logs.list_tags_for_resource(resourceArn=self.arn)}
        return None

    def create(self) -> None:
        self.aws.logs.create_log_group(logGroupName=self.name, tags=self.service.tags)
        self.update(self.desired())

    def update(self, changed: State) -> None:
        self.aws.logs.put_retention_policy(logGroupName=self.name, **changed)

    def delete(self) -> None:
        self.aws.logs.delete_log_group(logGroupName=self.name)
