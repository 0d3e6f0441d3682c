"""Run the ./deploy.sh of a project on the embedded AWS."""

import subprocess
from dataclasses import dataclass

from embedded_aws import EmbeddedAws
from scripts.projects import Project, project_environment


@dataclass(frozen=True)
class Run:
    """The exit code and the output of one run of ./deploy.sh."""

    code: int
    out: str
    err: str

    @property
    def url(self) -> str:
        """Return the URL in the last line of a deploy's output."""
        return self.out.split()[-1]


def run_deploy_sh(project: Project, aws: EmbeddedAws, *arguments: str, typed: str = "") -> Run:
    """Run ./deploy.sh in a separate process, with `typed` as its standard input."""
    result = subprocess.run(
        ["./deploy.sh", *arguments],
        cwd=project.path,
        env=project_environment(project.path) | aws.environ,
        input=typed,
        capture_output=True,
        encoding="utf-8",
        timeout=300,
    )
    return Run(result.returncode, result.stdout, result.stderr)
