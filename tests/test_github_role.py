"""May the roles that GitHub deploys with do all that a stage's life needs, and nothing that it does not need?

`make test-github` asks this of both roles in every combination, `make test` of one each.
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

from tests.baking import CHOICES, COMBINATIONS, Answers, Project, name_of
from tests.conftest import Bake
from tests.deploying import InProcess, Run
from tests.embedded_aws import EmbeddedAws, ManualClock
from tests.embedded_aws.authorization import Need
from tests.embedded_aws.policy import allows
from tests.embedded_aws.vpc import make_subnet
from tests.scene import task_root

EVERYTHING = os.environ.get("GITHUB_ROLES") == "all"
REPOSITORY, ISSUER = "octo-org/my-api", "token.actions.githubusercontent.com"
ROLES = {"prod": "my-api.github", "pr-12": "my-api.github.previews"}
ZONE, DOMAIN = "example.com", "api.example.com"
SCHEDULE = 'schedule = [{ at = "cron(0 8 ? * MON-FRI *)", executions = 1 }]'
Policy = dict[str, Any]
LIVES = [(answers, stage) for answers in COMBINATIONS for stage in ROLES]
CHOSEN = LIVES if EVERYTHING else [(COMBINATIONS[0], "prod"), (COMBINATIONS[-1], "pr-12")]


class Life:
    """A stage of a service from its first deploy to its end, as its workflow and its owner make it go."""

    def __init__(self, project: Project, aws: EmbeddedAws, folder: Path, stage: str, patch: pytest.MonkeyPatch) -> None:
        self.project, self.aws, self.stage = project, aws, stage
        self.answers: Answers = {**{option: choices[0] for option, choices in CHOICES.items()}, **project.answers}
        self.needed: list[Need] = []  # all that the role was asked for
        self.name, self.role = f"my-api-{stage}", f"arn:aws:iam::{aws.account}:role/{ROLES[stage]}"
        self._folder = folder
        self._run = InProcess(project, aws)
        patch.setattr("deploy.release.MIN_IMAGE_AGE", timedelta(0))  # so that images may be cleaned up
        patch.setattr("deploy.image.run_docker", self._docker)
        if self.answers["endpoint"] == "http_api":
            patch.setattr("deploy.dns.name_servers", aws.dns.name_servers)
            patch.setattr("deploy.dns.addresses", aws.dns.addresses)
        project.edit("deploy.toml", "keep_releases = 5", "keep_releases = 2")
        project.edit("deploy.toml", "[stages.pr]", "[stages.qa]")  # so that previews need all that they may have
        self.by_owner("github", REPOSITORY)

    def by_owner(self, *arguments: str, typed: str = "") -> Run:
        return done(self._run(*arguments, typed=typed))

    def by_github(self, *arguments: str, typed: str = "") -> Run:
        with self.aws.acting_as(self.role) as needed:
            run = self._run("--stage", self.stage, *arguments, typed=typed)
        self.needed += needed
        return done(run)

    def _docker(self, arguments: list[str], *options: Any) -> str:
        """In place of a container engine: what is pushed answers to everything, and is let in as ECR would."""
        match arguments:
            case ["push", pushed]:
                repository, _, tag = pushed.partition("/")[2].partition(":")
                self.aws.docker_push(repository, task_root(self._folder, tag), tag)
            case ["image", "inspect", _]:
                return '[{"Architecture": "arm64"}]'
        return ""

    def change(self, *, settings: dict[str, str], code: str = "") -> None:
        """Of deploy.toml, these lines; of the code, a comment."""
        file = self.project.path / "deploy.toml"
        text = file.read_text("utf-8")
        for key, line in settings.items():
            text, found = re.subn(rf"(?m)^#? ?{key} = .*$", line, text, count=1)
            text = text if found else f"{line}\n{text}"
        file.write_text(text, "utf-8")
        if code:
            with (self.project.path / "app/main.py").open("a", encoding="utf-8") as main:
                main.write(f"# {code}\n")

    def before(self) -> None:
        """What its owner does beforehand: secrets, a network, a domain, and then the roles again."""
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

    def play(self) -> None:
        """The workflows, in the order of their lives, with every kind of change in between."""
        if self.stage != "prod":
            self.by_github("secret", "set", "DATABASE_URL", typed="postgresql://nowhere")
            self.by_github("secret", "set", "DATABASE_URL", typed="postgresql://elsewhere")
        self.by_github("plan")
        self.by_github()
        assert self.by_github("status", "--url").out.startswith(("http://127.0.0.1", f"https://{DOMAIN}"))
        assert "Nothing to deploy" in self.by_github().out

        changed = {"log_retention_days": "log_retention_days = 7", "alarm_email": 'alarm_email = "ops@example.com"'}
        changed |= {"reserved_concurrency": "reserved_concurrency = 20", "memory_mb": "memory_mb = 1024"}
        if self.answers["endpoint"] == "function_url":
            changed |= {"auth": 'auth = "iam"'}
        else:
            changed |= {"burst": "burst = 300"}
        if self.answers["cold_starts"] == "provisioned_concurrency":
            changed |= {"schedule": SCHEDULE, "executions": "executions = 3"}
        self.change(settings=changed, code="the second release")
        self.drift()
        self.by_github("plan")
        self.by_github()

        self.change(settings={"alarm_email": 'alarm_email = "others@example.com"'}, code="the third release")
        self.confirm_subscription()
        self.by_github()
        less = {"alarm_email": 'alarm_email = ""', "reserved_concurrency": "# reserved_concurrency = 20"}
        if self.answers["endpoint"] == "function_url":
            less |= {"auth": 'auth = "none"'}
        if self.answers["cold_starts"] == "provisioned_concurrency":
            less |= {"schedule": "# schedule = []", "executions": "executions = 1"}
        self.change(settings=less, code="the fourth release")
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
        """Somebody changes what the deploy made."""
        self.aws.client("ecr").put_image_tag_mutability(repositoryName=self.name, imageTagMutability="MUTABLE")
        trust = json.dumps({"Version": "2012-10-17", "Statement": [TRUSTS_LAMBDA | {"Sid": "Changed"}]})
        self.aws.client("iam").update_assume_role_policy(RoleName=self.name, PolicyDocument=trust)
        if self.answers["endpoint"] == "http_api":
            gateway, live = self.aws.client("apigatewayv2"), {"FunctionName": self.name, "Qualifier": "live"}
            (api,) = (one["ApiId"] for one in gateway.get_apis()["Items"])
            (integration,) = (one["IntegrationId"] for one in gateway.get_integrations(ApiId=api)["Items"])
            gateway.update_integration(ApiId=api, IntegrationId=integration, PayloadFormatVersion="1.0")
            anyone = {"Action": "lambda:InvokeFunction", "Principal": "apigateway.amazonaws.com"}
            self.aws.client("lambda").remove_permission(**live, StatementId="http-api")
            self.aws.client("lambda").add_permission(**live, StatementId="http-api", **anyone)
            tags = {"service": "my-api", "stage": self.stage, "managed-by": "deploy.sh"}
            copy = {"Name": self.name, "ProtocolType": "HTTP", "Tags": tags}  # as a repeated request makes
            while (younger := gateway.create_api(**copy)["ApiId"]) < api:
                gateway.delete_api(ApiId=younger)

    def confirm_subscription(self) -> None:
        """Somebody follows the link in AWS's mail."""
        self.aws.confirmed.add("ops@example.com")

    def attach_policy(self) -> None:
        """Somebody gives the function more rights."""
        iam = self.aws.client("iam")
        more = [{"Effect": "Allow", "Action": "s3:GetObject", "Resource": "*"}]
        document = json.dumps({"Version": "2012-10-17", "Statement": more})
        made = iam.create_policy(PolicyName="shared", PolicyDocument=document)["Policy"]
        iam.attach_role_policy(RoleName=self.name, PolicyArn=made["Arn"])

    def policy(self) -> Policy:
        role = {"RoleName": ROLES[self.stage], "PolicyName": "service"}
        return dict(self.aws.client("iam").get_role_policy(**role)["PolicyDocument"])

    def replace_policy(self, policy: Policy) -> None:
        role = {"RoleName": ROLES[self.stage], "PolicyName": "service"}
        self.aws.client("iam").put_role_policy(**role, PolicyDocument=json.dumps(policy))


TRUSTS_LAMBDA = {"Effect": "Allow", "Principal": {"Service": "lambda.amazonaws.com"}, "Action": "sts:AssumeRole"}


@pytest.fixture
def live(bake: Bake, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., Life]]:
    with EmbeddedAws(clock=ManualClock()) as aws:

        def born(answers: Answers, stage: str) -> Life:
            life = Life(bake(**answers).copy(tmp_path), aws, tmp_path / "images", stage, monkeypatch)
            life.before()
            return life

        yield born


@pytest.mark.parametrize(("answers", "stage"), CHOSEN, ids=[f"{name_of(life)}-{stage}" for life, stage in CHOSEN])
def test_it_is_enough_and_no_more(live: Callable[..., Life], answers: Answers, stage: str) -> None:
    life = live(answers, stage)
    life.play()
    policy = life.policy()
    needed = list({(need.action, need.resource, str(need.context)): need for need in life.needed}.values())
    assert [gone for gone, fewer in each_taken_away(policy) if all(permits(fewer, need) for need in needed)] == []


@pytest.mark.parametrize("gone", ["ecr:GetAuthorizationToken", "iam:PassRole", "lambda:InvokeFunction"])
def test_without_one_of_its_actions_github_cannot_deploy(live: Callable[..., Life], gone: str) -> None:
    """What is computed above is what happens."""
    life = live(COMBINATIONS[0], "prod")
    policy = life.policy()
    for statement in policy["Statement"]:
        statement["Action"] = [action for action in statement["Action"] if action != gone] or ["sts:GetCallerIdentity"]
    life.replace_policy(policy)
    with pytest.raises(AssertionError, match=f"not authorized to perform: {gone}"):
        life.by_github()


def test_it_reaches_no_other_stage_or_service(live: Callable[..., Life]) -> None:
    life = live(COMBINATIONS[0], "prod")
    for stage in ("dev", "pr-12"):
        with life.aws.acting_as(life.role), pytest.raises(AssertionError, match="AWS refused"):
            life.by_owner("--stage", stage)
    life.project.edit("deploy.toml", 'name = "my-api"', 'name = "other"')
    with pytest.raises(AssertionError, match="AWS refused"):
        life.by_github()


# policy_sentry has one of the two lists of API Gateway's actions only (tags: cloudformation-coverage-roadmap#997).
IN_THE_OTHER = [f"arn:aws:apigateway:*::/{path}" for path in ("tags/*", "domainnames", "domainnames/*")]
# A read that may say that there is nothing, which AWS knows no ARN of.
ANY_OF_ITS_KIND = {"secretsmanager:DescribeSecret"}


def done(run: Run) -> Run:
    assert run.code == 0, run.out + run.err
    return run


def permits(policy: Policy, need: Need) -> bool:
    return allows(policy["Statement"], need.action, need.resource, context=need.context)


def each_taken_away(policy: Policy) -> Iterator[tuple[str, Policy]]:
    """The policy without one action, or one resource, of one statement."""
    for number, statement in enumerate(policy["Statement"]):
        for key in ("Action", "Resource"):
            for one in statement[key]:
                fewer = copy.deepcopy(policy)
                fewer["Statement"][number][key].remove(one)
                yield f"{one} of statement {number}, {statement['Action'][0]}", fewer


def test_actions_and_resources_fit(bake: Bake, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each is an action of AWS's, on a type of resource that it can be allowed on, by condition keys that it knows."""
    for stage in ROLES:
        with EmbeddedAws(clock=ManualClock()) as aws:
            life = Life(bake(**COMBINATIONS[-1]).copy(tmp_path / stage), aws, tmp_path, stage, monkeypatch)
            life.before()
            for statement in life.policy()["Statement"]:
                for action in statement["Action"]:
                    assert_fits(action, statement)


def assert_fits(action: str, statement: Policy) -> None:
    service, _, name = action.partition(":")
    known = (get_action_data(service, name) or {}).get(service)
    assert known, f"AWS has no {action}"
    formats = [re.sub(r"\$\{\w+\}", "*", row["resource_arn_format"]) for row in known]
    keys = {key.partition("$")[0] for row in known for key in row["condition_keys"]}
    if statement["Resource"] == ["*"]:
        assert "*" in formats or action in ANY_OF_ITS_KIND, f"{action} can be allowed on {formats}"
    else:
        resources = [one for resource in statement["Resource"] for one in (resource, resource.replace("*", "1:1"))]
        narrow = [*(one for one in formats if one != "*"), *IN_THE_OTHER]
        assert any(fnmatchcase(resource, one) for resource in resources for one in narrow), action
    for conditions in statement.get("Condition", {}).values():
        assert all(any(key.startswith(one) for one in keys) for key in conditions), f"{action}: {conditions}"
