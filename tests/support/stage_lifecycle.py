"""Do everything that the owner of a service and its workflows on GitHub do with a stage."""

import json
import re
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from embedded_aws import EmbeddedAws
from embedded_aws.iam.authorization import Need
from scripts.deploy_tool import Run
from scripts.project_changes import append
from scripts.projects import CHOICES, Answers, Project
from tests.support.deploy_tool import DeployTool
from tests.support.fake_docker import FakeDocker
from tests.support.subnets import default_security_group, make_subnet

Policy = dict[str, Any]

REPOSITORY = "octo-org/my-api"
GITHUB_ROLES = {"prod": "my-api.github", "pr-12": "my-api.github.previews"}  # by stage
ZONE, DOMAIN = "example.com", "api.example.com"
SCHEDULE = 'schedule = [{ at = "cron(0 8 ? * MON-FRI *)", executions = 1 }]'
JOBS = """
[jobs]
module = "app.jobs"
timeout_s = 10
[jobs.schedule.nightly]
at = "cron(0 3 * * ? *)"
[jobs.schedule.hourly]
at = "rate(1 hour)"
"""
CHANGED_JOBS = """
[jobs]
module = "app.jobs"
max_concurrency = 10
[jobs.schedule.nightly]
at = "cron(0 4 * * ? *)"
"""
TRUSTS_SCHEDULER = {"Effect": "Allow", "Principal": {"Service": "scheduler.amazonaws.com"}, "Action": "sts:AssumeRole"}
TRUSTS_LAMBDA = {"Effect": "Allow", "Principal": {"Service": "lambda.amazonaws.com"}, "Action": "sts:AssumeRole"}


class StageLifecycle:
    """A stage, prod or a preview, from the first steps of its owner to its end.

    `needed` contains every permission that the role for GitHub was used for. With `common_needs`, the stage also has
    tags, a permissions boundary, tracing, an additional permission, jobs and schedules.
    """

    def __init__(
        self,
        project: Project,
        aws: EmbeddedAws,
        folder: Path,
        stage: str,
        patch: pytest.MonkeyPatch,
        *,
        common_needs: bool = False,
    ) -> None:
        self.project = project
        self.common_needs = common_needs
        self.aws = aws
        self.stage = stage
        self.name = f"my-api-{stage}"
        self.role = f"arn:aws:iam::{aws.account}:role/{GITHUB_ROLES[stage]}"
        self.needed: list[Need] = []
        self._answers: Answers = {**{option: choices[0] for option, choices in CHOICES.items()}, **project.answers}
        self._deploy = DeployTool(project, aws)
        patch.setattr("deploy.release.MIN_IMAGE_AGE", timedelta(0))  # so that the images of this test are deleted
        FakeDocker(aws, folder).install(patch)
        if self._has("http_api"):
            patch.setattr("deploy.dns.name_servers", aws.dns.name_servers)
            patch.setattr("deploy.dns.addresses", aws.dns.addresses)
        project.edit("deploy.toml", "keep_releases = 5", "keep_releases = 2")
        project.edit("deploy.toml", "[stages.pr]", "[stages.qa]")  # so that previews use all features
        self.run_as_owner("github", REPOSITORY)

    def run_as_owner(self, *arguments: str, typed: str = "") -> Run:
        """Run ./deploy.sh with all permissions. Raise AssertionError if it fails."""
        return _assert_succeeded(self._deploy(*arguments, typed=typed))

    def run_as_github(self, *arguments: str, typed: str = "") -> Run:
        """Run ./deploy.sh for the stage with the role for GitHub. Raise AssertionError if it fails."""
        with self.aws.acting_as(self.role) as needed:
            run = self._deploy("--stage", self.stage, *arguments, typed=typed)
        self.needed += needed
        return _assert_succeeded(run)

    def policy(self) -> Policy:
        """Return the policies of the role for GitHub as one document."""
        iam, role = self.aws.client("iam"), GITHUB_ROLES[self.stage]
        policy = dict(iam.get_role_policy(RoleName=role, PolicyName="service")["PolicyDocument"])
        for attached in iam.list_attached_role_policies(RoleName=role)["AttachedPolicies"]:
            arn = attached["PolicyArn"]
            version = iam.get_policy(PolicyArn=arn)["Policy"]["DefaultVersionId"]
            document: Any = iam.get_policy_version(PolicyArn=arn, VersionId=version)["PolicyVersion"]["Document"]
            policy["Statement"] = [*policy["Statement"], *document["Statement"]]
        return policy

    def replace_policy(self, policy: Policy) -> None:
        """Replace the policy of the role for GitHub."""
        role = {"RoleName": GITHUB_ROLES[self.stage], "PolicyName": "service"}
        self.aws.client("iam").put_role_policy(**role, PolicyDocument=json.dumps(policy))

    def prepare(self) -> None:
        """Do what the owner does first: create a network, a domain and secrets, and update the roles."""
        if self._has("alembic"):
            ec2 = self.aws.client("ec2")
            vpc, subnet = make_subnet(ec2)
            group = default_security_group(ec2, vpc)
            self._configure(vpc=f'vpc = {{ subnet_ids = ["{subnet}"], security_group_ids = ["{group}"] }}')
        if self._has("http_api") and self.stage == "prod":
            self.aws.client("route53").create_hosted_zone(Name=ZONE, CallerReference="one")
            self.aws.dns.delegated.add(ZONE)
            self._configure(domain=f'domain = {{ name = "{DOMAIN}", hosted_zone = "{ZONE}" }}')
        if self.common_needs:
            self._configure(
                tags='tags = { team = "core" }',
                permissions_boundary=f'permissions_boundary = "{self._create_boundary()}"',
                permissions='permissions = [{ actions = ["s3:GetObject"], resources = ["*"] }]',
                tracing="tracing = true",
            )
            self._replace_jobs(JOBS)
        self.run_as_owner("github", REPOSITORY)
        if self.stage == "prod":
            self.run_as_owner("secret", "set", "DATABASE_URL", typed="postgresql://nowhere")
        self._configure(secrets='secrets = ["DATABASE_URL"]')

    def run(self) -> None:
        """Run the workflows from the first deploy to the end, with every kind of change between two deploys."""
        self._deploy_the_first_release()
        self._change_settings_and_resources()
        self._replace_the_alarm_address()
        self._remove_settings()
        self.run_as_github("rollback")
        self.run_as_github()
        if self.common_needs and self.stage == "prod":  # a preview is destroyed with its jobs
            self._replace_jobs("")
            self.run_as_github()
        if self.stage == "prod":
            self._remove_the_domain()
        else:
            self._destroy()

    def _deploy_the_first_release(self) -> None:
        if self.stage != "prod":
            self.run_as_github("secret", "set", "DATABASE_URL", typed="postgresql://nowhere")
            self.run_as_github("secret", "set", "DATABASE_URL", typed="postgresql://elsewhere")
            self.run_as_github("secret", "set", "OTHER_SECRET", typed="temporary")
            self.run_as_github("secret", "remove", "OTHER_SECRET")
        self.run_as_github("plan")
        self.run_as_github()
        assert self.run_as_github("status", "--url").out.startswith(("http://127.0.0.1", f"https://{DOMAIN}"))
        assert "Nothing to deploy" in self.run_as_github().out
        self.run_as_github("status")
        self.run_as_github("logs")
        if self.common_needs:
            self._use_jobs()

    def _change_settings_and_resources(self) -> None:
        settings = {
            "log_retention_days": "log_retention_days = 7",
            "alarm_email": 'alarm_email = "ops@example.com"',
            "reserved_concurrency": "reserved_concurrency = 20",
            "memory_mb": "memory_mb = 1024",
        }
        if self._has("function_url"):
            settings["auth"] = 'auth = "iam"'
        if self._has("http_api"):
            settings["burst"] = "burst = 300"
        if self._has("provisioned_concurrency"):
            settings |= {"schedule": SCHEDULE, "executions": "executions = 3"}
        if self.common_needs:
            self.aws.client("iam").delete_role_permissions_boundary(RoleName=self.name)
            self._replace_jobs(CHANGED_JOBS)
            self._change_jobs_without_the_deploy_tool()
        self._configure(**settings)
        self._change_the_code("the second release")
        self._change_resources_without_the_deploy_tool()
        self.run_as_github("plan")
        self.run_as_github()

    def _replace_jobs(self, table: str) -> None:
        """Replace the table [jobs] at the end of deploy.toml."""
        file = self.project.path / "deploy.toml"
        text = file.read_text("utf-8").partition("\n[jobs]\n")[0]
        file.write_text(text + table, "utf-8")

    def _change_jobs_without_the_deploy_tool(self) -> None:
        sqs = self.aws.client("sqs")
        url = sqs.get_queue_url(QueueName=f"{self.name}-jobs-failed")["QueueUrl"]
        sqs.set_queue_attributes(QueueUrl=url, Attributes={"MessageRetentionPeriod": "60"})
        if self.stage == "prod":  # previews have no schedules
            iam, role = self.aws.client("iam"), f"{self.name}-cron"
            iam.delete_role_permissions_boundary(RoleName=role)
            trust = json.dumps({"Version": "2012-10-17", "Statement": [TRUSTS_SCHEDULER]})
            iam.update_assume_role_policy(RoleName=role, PolicyDocument=trust)
            self._attach_policy(role)

    def _use_jobs(self) -> None:
        """Show the jobs, of which one has failed. Run it again in a preview: the role for prod may not."""
        sqs, message = self.aws.client("sqs"), {"job": "nightly", "id": "one", "arguments": {}}
        url = sqs.get_queue_url(QueueName=f"{self.name}-jobs-failed")["QueueUrl"]
        sqs.send_message(QueueUrl=url, MessageBody=json.dumps(message))
        assert "  nightly  id one  {}\n" in self.run_as_github("jobs").out
        retry = self.run_as_owner if self.stage == "prod" else self.run_as_github
        arguments = ("--stage", self.stage) if self.stage == "prod" else ()
        assert "1 failed job was moved" in retry(*arguments, "jobs", "retry").out

    def _replace_the_alarm_address(self) -> None:
        self._configure(alarm_email='alarm_email = "others@example.com"')
        if self.common_needs:
            self._configure(tags='tags = { owner = "ops" }')
        self._change_the_code("the third release")
        self.aws.confirmed.add("ops@example.com")  # somebody follows the link in AWS's e-mail
        self.run_as_github()

    def _remove_settings(self) -> None:
        settings = {"alarm_email": 'alarm_email = ""', "reserved_concurrency": "# reserved_concurrency = 20"}
        if self._has("function_url"):
            settings["auth"] = 'auth = "none"'
        if self._has("provisioned_concurrency"):
            settings |= {"schedule": "# schedule = []", "executions": "executions = 1"}
        self._configure(**settings)
        self._change_the_code("the fourth release")
        self.run_as_github()

    def _remove_the_domain(self) -> None:
        if self._has("http_api"):
            self._configure(domain="")
            self.run_as_github()

    def _destroy(self) -> None:
        self._attach_policy(self.name)
        self.run_as_github("destroy", "--yes")
        if self._has("secrets_manager"):
            self.run_as_github("secret", "set", "DATABASE_URL", typed="postgresql://restored")
            self.run_as_github("destroy", "--yes", "--purge")

    def _has(self, choice: str) -> bool:
        return choice in self._answers.values()

    def _configure(self, **settings: str) -> None:
        """Replace the lines of these keys in deploy.toml, or add them to the top."""
        file = self.project.path / "deploy.toml"
        text = file.read_text("utf-8")
        for key, line in settings.items():
            text, count = re.subn(rf"(?m)^#? ?{key} = .*$", line, text, count=1)
            text = text if count else f"{line}\n{text}"
        file.write_text(text, "utf-8")

    def _change_the_code(self, comment: str) -> None:
        append(self.project, "app/main.py", f"# {comment}\n")

    def _change_resources_without_the_deploy_tool(self) -> None:
        self.aws.client("ecr").put_image_tag_mutability(repositoryName=self.name, imageTagMutability="MUTABLE")
        trust = json.dumps({"Version": "2012-10-17", "Statement": [TRUSTS_LAMBDA | {"Sid": "Changed"}]})
        self.aws.client("iam").update_assume_role_policy(RoleName=self.name, PolicyDocument=trust)
        if self._has("http_api"):
            self._change_the_integration()
            self._create_a_duplicate_api()

    def _change_the_integration(self) -> None:
        gateway = self.aws.client("apigatewayv2")
        (api,) = gateway.get_apis()["Items"]
        (integration,) = gateway.get_integrations(ApiId=api["ApiId"])["Items"]
        gateway.update_integration(
            ApiId=api["ApiId"], IntegrationId=integration["IntegrationId"], PayloadFormatVersion="1.0"
        )
        functions = self.aws.client("lambda")
        statement = {"FunctionName": self.name, "Qualifier": "live", "StatementId": "http-api"}
        functions.remove_permission(**statement)
        functions.add_permission(**statement, Action="lambda:InvokeFunction", Principal="apigateway.amazonaws.com")

    def _create_a_duplicate_api(self) -> None:
        """Do what a repeated CreateApi does. The ID of the duplicate is higher than that of the existing API."""
        gateway = self.aws.client("apigatewayv2")
        (existing,) = gateway.get_apis()["Items"]
        tags = {"service": "my-api", "stage": self.stage, "managed-by": "deploy.sh"}
        while True:
            duplicate = gateway.create_api(Name=self.name, ProtocolType="HTTP", Tags=tags)
            if duplicate["ApiId"] > existing["ApiId"]:
                return
            gateway.delete_api(ApiId=duplicate["ApiId"])

    def _create_boundary(self) -> str:
        """Create a managed policy that allows everything, and return its ARN."""
        statement = {"Effect": "Allow", "Action": "*", "Resource": "*"}
        document = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
        policy = self.aws.client("iam").create_policy(PolicyName="boundary", PolicyDocument=document)["Policy"]
        return str(policy["Arn"])

    def _attach_policy(self, role: str) -> None:
        """Attach a managed policy to a role."""
        iam = self.aws.client("iam")
        statements = [{"Effect": "Allow", "Action": "s3:GetObject", "Resource": "*"}]
        document = json.dumps({"Version": "2012-10-17", "Statement": statements})
        policy = iam.create_policy(PolicyName="shared", PolicyDocument=document)["Policy"]
        iam.attach_role_policy(RoleName=role, PolicyArn=policy["Arn"])


def _assert_succeeded(run: Run) -> Run:
    assert run.code == 0, run.out + run.err
    return run
