"""Validate the answers before any file is written. Exit with code 1 and a message of one line if one is invalid."""

import json
import os
import re
import sys
import unicodedata
from pathlib import Path

MAX_LENGTH = {"project_name": 80, "description": 200}
SLUG = r"(?=.{3,40}$)[a-z][a-z0-9]*(-[a-z0-9]+)*"
# The partition aws only. Others lack features or use other host names: GovCloud has neither function URLs nor JSON logs
# (docs.aws.amazon.com/govcloud-us/latest/UserGuide/govcloud-lambda.html).
REGION = r"(af|ap|ca|eu|il|me|mx|sa|us)-(north|south|central|(north|south)?(east|west))-[1-9]"

answers = json.loads(r"""{{ cookiecutter | tojson }}""")

if sys.version_info < (3, 11):  # noqa: UP036 - cookiecutter itself may run on an older version
    sys.exit("This template needs Python 3.11 or newer. Install cookiecutter with a newer Python and try again.")

# cookiecutter ignores a name=answer argument whose name is not a prompt. On Linux its command line can be read.
command_line = Path(f"/proc/{os.getppid()}/cmdline")
arguments = command_line.read_bytes().decode(errors="replace").split("\0") if command_line.exists() else []
if any(os.path.basename(argument) == "cookiecutter" for argument in arguments):
    for name in (argument.partition("=")[0] for argument in arguments if "=" in argument):
        if name.isidentifier() and name not in answers:
            prompts = ", ".join(prompt for prompt in answers if not prompt.startswith("_"))
            sys.exit(f"{name} is not a prompt of this template. It asks for {prompts}.")

# YAML reads yes, null and numbers in the configuration file of cookiecutter as other types.
for name in ("project_name", "project_slug", "description", "aws_region"):
    if not isinstance(answers[name], str):
        sys.exit(f"{name} must be text, not {answers[name]!r}. Put quotes around it in the configuration file.")

for name, max_length in MAX_LENGTH.items():
    text = answers[name]
    has_control_characters = any(unicodedata.category(character) in ("Cc", "Cs", "Zl", "Zp") for character in text)
    if has_control_characters or text != text.strip() or not 1 <= len(text) <= max_length:
        rule = f"must be one line of 1 to {max_length} characters without leading or trailing spaces"
        sys.exit(f"{name} {rule}, not {text!a}.")

slug = answers["project_slug"]
if not re.fullmatch(SLUG, slug):
    rule = "3 to 40 lower-case letters, digits and single hyphens, a letter first, for example my-api"
    sys.exit(f"project_slug is part of the names of AWS resources. It must have {rule}; it is {slug!a}.")
if slug.startswith(("aws", "ssm")):
    sys.exit(f"project_slug must not start with aws or ssm, which AWS reserves for its own parameters: {slug!a}.")

if not re.fullmatch(REGION, answers["aws_region"]):
    region = answers["aws_region"]
    sys.exit(f"aws_region must be a Region of the partition aws, for example us-east-1, not {region!a}.")
