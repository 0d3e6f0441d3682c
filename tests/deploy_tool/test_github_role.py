"""The roles with which GitHub deploys allow everything that a stage needs in its lifetime, and nothing else.

`make test-github` tests both roles in every combination, `make test` each of them in one.
"""

import copy
import json
import os
import re
from collections.abc import Callable, Iterator
from datetime import timedelta
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

import pytest
from policy_sentry.querying.actions import get_action_data

from embedded_aws import EmbeddedAws, ManualClock
from embedded_aws.ec2.vpc import make_subnet
from embedded_aws.iam.authorization import Need
from embedded_aws.iam.policy import allows
from scripts.deploy_tool import Run
from scripts.projects import CHOICES, COMBINATIONS, Answers, Project, combination_name
from tests.support.bake import Bake
from tests.support.deploy_tool import DeployTool
from tests.support.deployed_stage import task_root

EVERYTHING = os.environ.get("GITHUB_ROLES") == "all"
REPOSITORY, ISSUER = "octo-org/my-api", "token.actions.githubusercontent.com"
ROLES = {"prod": "my-api.github", "pr-12": "my-api.github.previews"}
ZONE, DOMAIN = "example.com", "api.example.com"
SCHEDULE = 'schedule = [{ at = "cron(0 8 ? * MON-FRI *)", executions = 1 }]'
Policy = dict[str, Any]
LIFECYCLES = [(answers, stage) for answers in COMBINATIONS for stage in ROLES]
CHOSEN = LIFECYCLES if EVERYTHING else [(COMBINATIONS[0], "prod"), (COMBINATIONS[-1], "pr-12")]


class StageLifecycle:
    """Everything that workflows and the owner of a service do with a stage, from its first deploy to its end."""

    def __init__(self, project: Project, aws: EmbeddedAws, folder: Path, stage: str, patch: pytest.MonkeyPatch) -> None:
        self.project, self.aws, self.stage = project, aws, stage
        self.answers: Answers = {**{option: choices[0] for option, choices in CHOICES.items()}, **project.answers}
        self.needed: list[Need] = []  # every permission that the role was used for
        self.name, self.role = f"my-api-{stage}", f"arn:aws:iam::{aws.account}:role/{ROLES[stage]}"
        self._folder = folder
        self._run = DeployTool(project, aws)
        patch.setattr("deploy.release.MIN_IMAGE_AGE", timedelta(0))  # so that new images are cleaned up
        patch.setattr("deploy.image.run_docker", self._docker)
        if self.answers["endpoint"] == "http_api":
            patch.setattr("deploy.dns.name_servers", aws.dns.name_servers)
            patch.setattr("deploy.dns.addresses", aws.dns.addresses)
        project.edit("deploy.toml", "keep_releases = 5", "keep_releases = 2")
        project.edit("deploy.toml", "[stages.pr]", "[stages.qa]")  # so that previews use all features
        self.by_owner("github", REPOSITORY)

    def by_owner(self, *arguments: str, typed: str = "") -> Run:
        return succeeded(self._run(*arguments, typed=typed))

    def by_github(self, *arguments: str, typed: str = "") -> Run:
        with self.aws.acting_as(self.role) as needed:
            run = self._run("--stage", self.stage, *arguments, typed=typed)
        self.needed += needed
        return succeeded(run)

    def _docker(self, arguments: list[str], *options: Any) -> str:
        """Do what docker would do. A pushed image responds to every request; ECR checks the permissions."""
        match arguments:
            case ["push", pushed]:
                repository, _, tag = pushed.partition("/")[2].partition(":")
                self.aws.docker_push(repository, task_root(self._folder, tag), tag)
            case ["image", "inspect", _]:
                return '[{"Architecture": "arm64"}]'
        return ""

    def change(self, *, settings: dict[str, str], code: str = "") -> None:
        """Change these lines of deploy.toml, and add a comment to the code."""
        file = self.project.path / "deploy.toml"
        text = file.read_text("utf-8")
        for key, line in settings.items():
            text, count = re.subn(rf"(?m)^#? ?{key} = .*$", line, text, count=1)
            text = text if count else f"{line}\n{text}"
        file.write_text(text, "utf-8")
        if code:
            with (self.project.path / "app/main.py").open("a", encoding="utf-8") as main:
                main.write(f"# {code}\n")

    def prepare(self) -> None:
        """Do what the owner does first: create secrets, a network and a domain, and update the roles."""
        toml = self.project.path / "deploy.toml"
        if self.answers["migrations"] == "alembic":
            _, subnet = make_subnet(self.aws.client("ec2"))
            vpc = f'vpc = {{ subnet_ids = ["{subnet}"], security_group_ids = ["sg-1"] }}\n'
            toml.write_text(vpc + toml.read_text("utf-8"), "utf-8")
        if self.answers["endpoint"] == "http_api" and self.stage == "prod":
            self.aws.client("route53").create_hosted_zone(Name=ZONE, CallerReference="one")
            self.aws.dns.delegated.add(ZONE)
            domain = f'domain = {{ name = "{DOMAIN}", hosted_zone = "{ZONE}" }}\n'
            toml.write_text(domain + toml.read_text("utf-8"), "utf-8")
        self.by_owner("github", REPOSITORY)
        if self.stage == "prod":
            self.by_owner("secret", "set", "DATABASE_URL", typed="postgresql://nowhere")
        self.change(settings={"secrets": 'secrets = ["DATABASE_URL"]'})

    def run(self) -> None:
        """Run the workflows from the first deploy to the end, with every kind of change between two deploys."""
        if self.stage != "prod":
            self.by_github("secret", "set", "DATABASE_URL", typed="postgresql://nowhere")
            self.by_github("secret", "set", "DATABASE_URL", typed="postgresql://elsewhere")
        self.by_github("plan")
        self.by_github()
        assert self.by_github("status", "--url").out.startswith(("http://127.0.0.1", f"https://{DOMAIN}"))
        assert "Nothing to deploy" in self.by_github().out

        changes = {"log_retention_days": "log_retention_days = 7", "alarm_email": 'alarm_email = "ops@example.com"'}
        changes |= {"reserved_concurrency": "reserved_concurrency = 20", "memory_mb": "memory_mb = 1024"}
        if self.answers["endpoint"] == "function_url":
            changes |= {"auth": 'auth = "iam"'}
        else:
            changes |= {"burst": "burst = 300"}
        if self.answers["cold_starts"] == "provisioned_concurrency":
            changes |= {"schedule": SCHEDULE, "executions": "executions = 3"}
        self.change(settings=changes, code="the second release")
        self.drift()
        self.by_github("plan")
        self.by_github()

        self.change(settings={"alarm_email": 'alarm_email = "others@example.com"'}, code="the third release")
        self.confirm_subscription()
        self.by_github()
        removals = {"alarm_email": 'alarm_email = ""', "reserved_concurrency": "# reserved_concurrency = 20"}
        if self.answers["endpoint"] == "function_url":
            removals |= {"auth": 'auth = "none"'}
        if self.answers["cold_starts"] == "provisioned_concurrency":
            removals |= {"schedule": "# schedule = []", "executions": "executions = 1"}
        self.change(settings=removals, code="the fourth release")
        self.by_github()
        self.by_github("rollback")
        self.by_github()
        if self.stage == "prod" and self.answers["endpoint"] == "http_api":
            self.change(settings={"domain": ""})
            self.by_github()
        if self.stage != "prod":
            self.attach_policy()
            self.by_github("destroy", "--yes", *(["--purge"] if self.answers["secrets"] == "secrets_manager" else []))

    def drift(self) -> None:
        """Change resources without the deploy tool."""
        self.aws.client("ecr").put_image_tag_mutability(repositoryName=self.name, imageTagMutability="MUTABLE")
        trust = json.dumps({"Version": "2012-10-17", "Statement": [TRUSTS_LAMBDA | {"Sid": "Changed"}]})
        self.aws.client("iam").update_assume_role_policy(RoleName=self.name, PolicyDocument=trust)
        if self.answers["endpoint"] == "http_api":
            gateway, live = self.aws.client("apigatewayv2"), {"FunctionName": self.name, "Qualifier": "live"}
            (api,) = (item["ApiId"] for item in gateway.get_apis()["Items"])
            (integration,) = (item["IntegrationId"] for item in gateway.get_integrations(ApiId=api)["Items"])
            gateway.update_integration(ApiId=api, IntegrationId=integration, PayloadFormatVersion="1.0")
            anyone = {"Action": "lambda:InvokeFunction", "Principal": "apigateway.amazonaws.com"}
            self.aws.client("lambda").remove_permission(**live, StatementId="http-api")
            self.aws.client("lambda").add_permission(**live, StatementId="http-api", **anyone)
            tags = {"service": "my-api", "stage": self.stage, "managed-by": "deploy.sh"}
            duplicate = {"Name": self.name, "ProtocolType": "HTTP", "Tags": tags}  # what a repeated request creates
            while (younger := gateway.create_api(**duplicate)["ApiId"]) < api:
                gateway.delete_api(ApiId=younger)

    def confirm_subscription(self) -> None:
        """Follow the link in AWS's e-mail."""
        self.aws.confirmed.add("ops@example.com")

    def attach_policy(self) -> None:
        """Add a policy to the role of the function."""
        iam = self.aws.client("iam")
        statements = [{"Effect": "Allow", "Action": "s3:GetObject", "Resource": "*"}]
        document = json.dumps({"Version": "2012-10-17", "Statement": statements})
        policy = iam.create_policy(PolicyName="shared", PolicyDocument=document)["Policy"]
        iam.attach_role_policy(RoleName=self.name, PolicyArn=policy["Arn"])

    def policy(self) -> Policy:
        role = {"RoleName": ROLES[self.stage], "PolicyName": "service"}
        return dict(self.aws.client("iam").get_role_policy(**role)["PolicyDocument"])

    def replace_policy(self, policy: Policy) -> None:
        role = {"RoleName": ROLES[self.stage], "PolicyName": "service"}
        self.aws.client("iam").put_role_policy(**role, PolicyDocument=json.dumps(policy))


TRUSTS_LAMBDA = {"Effect": "Allow", "Principal": {"Service": "lambda.amazonaws.com"}, "Action": "sts:AssumeRole"}


@pytest.fixture
def start(bake: Bake, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., StageLifecycle]]:
    """A function that returns a stage which is prepared for its first deploy."""
    with EmbeddedAws(clock=ManualClock()) as aws:

        def prepared(answers: Answers, stage: str) -> StageLifecycle:
            lifecycle = StageLifecycle(bake(**answers).copy(tmp_path), aws, tmp_path / "images", stage, monkeypatch)
            lifecycle.prepare()
            return lifecycle

        yield prepared


@pytest.mark.parametrize(
    ("answers", "stage"), CHOSEN, ids=[f"{combination_name(answers)}-{stage}" for answers, stage in CHOSEN]
)
def test_a_role_allows_what_a_stage_needs_and_nothing_else(
    start: Callable[..., StageLifecycle], answers: Answers, stage: str
) -> None:
    lifecycle = start(answers, stage)
    lifecycle.run()
    policy = lifecycle.policy()
    needed = list({(need.action, need.resource, str(need.context)): need for need in lifecycle.needed}.values())
    superfluous = [part for part, reduced in reductions(policy) if all(permits(reduced, need) for need in needed)]
    assert superfluous == []


@pytest.mark.parametrize("action", ["ecr:GetAuthorizationToken", "iam:PassRole", "lambda:InvokeFunction"])
def test_without_one_of_its_actions_github_cannot_deploy(start: Callable[..., StageLifecycle], action: str) -> None:
    """Confirm with real calls what the test above computes."""
    lifecycle = start(COMBINATIONS[0], "prod")
    policy = lifecycle.policy()
    for statement in policy["Statement"]:
        statement["Action"] = [other for other in statement["Action"] if other != action] or ["sts:GetCallerIdentity"]
    lifecycle.replace_policy(policy)
    with pytest.raises(AssertionError, match=f"not authorized to perform: {action}"):
        lifecycle.by_github()


def test_a_role_cannot_deploy_another_stage_or_service(start: Callable[..., StageLifecycle]) -> None:
    lifecycle = start(COMBINATIONS[0], "prod")
    for stage in ("dev", "pr-12"):
        with lifecycle.aws.acting_as(lifecycle.role), pytest.raises(AssertionError, match="AWS denied"):
            lifecycle.by_owner("--stage", stage)
    lifecycle.project.edit("deploy.toml", 'name = "my-api"', 'name = "other"')
    with pytest.raises(AssertionError, match="AWS denied"):
        lifecycle.by_github()


# policy_sentry contains only one of AWS's two lists of API Gateway's actions (cloudformation-coverage-roadmap#997).
IN_THE_OTHER_LIST = [f"arn:aws:apigateway:*::/{path}" for path in ("tags/*", "domainnames", "domainnames/*")]
# A secret that does not exist has no ARN, so reading it has to be allowed for all secrets.
ANY_RESOURCE = {"secretsmanager:DescribeSecret"}


def succeeded(run: Run) -> Run:
    """Return the run. Raise AssertionError if it failed."""
    assert run.code == 0, run.out + run.err
    return run


def permits(policy: Policy, need: Need) -> bool:
    return allows(policy["Statement"], need.action, need.resource, context=need.context)


def reductions(policy: Policy) -> Iterator[tuple[str, Policy]]:
    """Yield the description of each action and each resource of each statement, and the policy without it."""
    for number, statement in enumerate(policy["Statement"]):
        for key in ("Action", "Resource"):
            for item in statement[key]:
                reduced = copy.deepcopy(policy)
                reduced["Statement"][number][key].remove(item)
                yield f"{item} of statement {number}, {statement['Action'][0]}", reduced


def test_aws_knows_every_action_resource_and_condition(
    bake: Bake, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each action exists, can be allowed on that type of resource, and supports the condition keys."""
    for stage in ROLES:
        with EmbeddedAws(clock=ManualClock()) as aws:
            project = bake(**COMBINATIONS[-1]).copy(tmp_path / stage)
            lifecycle = StageLifecycle(project, aws, tmp_path, stage, monkeypatch)
            lifecycle.prepare()
            for statement in lifecycle.policy()["Statement"]:
                for action in statement["Action"]:
                    assert_valid(action, statement)


def assert_valid(action: str, statement: Policy) -> None:
    service, _, name = action.partition(":")
    known = (get_action_data(service, name) or {}).get(service)
    assert known, f"{action} does not exist"
    formats = [re.sub(r"\$\{\w+\}", "*", row["resource_arn_format"]) for row in known]
    keys = {key.partition("$")[0] for row in known for key in row["condition_keys"]}
    if statement["Resource"] == ["*"]:
        assert "*" in formats or action in ANY_RESOURCE, f"{action} can be allowed on {formats}"
    else:
        resources = [arn for resource in statement["Resource"] for arn in (resource, resource.replace("*", "1:1"))]
        patterns = [*(pattern for pattern in formats if pattern != "*"), *IN_THE_OTHER_LIST]
        assert any(fnmatchcase(resource, pattern) for resource in resources for pattern in patterns), action
    for conditions in statement.get("Condition", {}).values():
        for condition in conditions:
            assert any(condition.startswith(key) for key in keys), f"{action}: {condition}"
