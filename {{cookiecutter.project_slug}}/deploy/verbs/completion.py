"""./deploy.sh completion: print what makes the Tab key complete verbs, options and stages, in bash or zsh.

In ~/.bashrc: eval "$(/path/to/deploy.sh completion bash)"
"""

from argparse import ArgumentParser, Namespace

from deploy.aws import Aws
from deploy.config import Service

STAGES = r"""prod $(sed -n 's/^\[stages\.\([a-z][a-z0-9-]*\).*/\1/p' deploy.toml 2>/dev/null)"""
FUNCTIONS = {
    "bash": '_deploy_sh_stages() { compgen -W "' + STAGES + '" -- "$1"; }',
    "zsh": "_deploy_sh_stages() { compadd " + STAGES + "; }",
}


def arguments(parser: ArgumentParser, common: ArgumentParser) -> None:
    parser.add_argument("shell", choices=list(FUNCTIONS))


def run(service: Service, aws: Aws, given: Namespace) -> None:
    """Prints the shell's own code, so that no Python runs while one types."""
    import shtab  # which no other verb needs

    given.parser.prog = "deploy.sh"  # in whatever folder it is
    print(shtab.complete(given.parser, given.shell, preamble=FUNCTIONS[given.shell]))
