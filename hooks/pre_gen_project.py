"""Refuses, before a file is written, answers that no project could be made of: one line, exit code 1."""

import json
import os
import re
import sys
import unicodedata
from pathlib import Path

# A choice leaves this list only when cookiecutter.json loses it, and enters it when everything behind it works.
CHOICES = {
    "python_version": ["3.13", "3.14", "3.12"],
    "architecture": ["arm64", "x86_64"],
    "endpoint": ["function_url", "http_api"],
    "secrets": ["ssm", "secrets_manager"],
    "migrations": ["none", "alembic"],
    "cold_starts": ["accept", "snapstart", "provisioned_concurrency"],
}
LONGEST = {"project_name": 80, "description": 200}
SLUG = r"(?=.{3,40}$)[a-z][a-z0-9]*(-[a-z0-9]+)*"
# Not China's, the European Sovereign Cloud's and the isolated ones: their AWS has other host names.
REGION = r"(af|ap|ca|eu|il|me|mx|sa|us|us-gov)-(north|south|central|(north|south)?(east|west))-[1-9]"

answers = json.loads(r"""{{ cookiecutter | tojson }}""")

if sys.version_info < (3, 11):  # noqa: UP036 - cookiecutter itself may run on an older one
    sys.exit("This template needs Python 3.11 or newer: install cookiecutter under one, then try again.")

# cookiecutter drops a name=answer that it does not know; its command line can be read on Linux.
asked_by = Path(f"/proc/{os.getppid()}/cmdline")
words = asked_by.read_bytes().decode(errors="replace").split("\0") if asked_by.exists() else []
if any(os.path.basename(word) == "cookiecutter" for word in words):
    for name in (word.partition("=")[0] for word in words if "=" in word):
        if name.isidentifier() and name not in answers:
            prompts = ", ".join(known for known in answers if not known.startswith("_"))
            sys.exit(f"{name} is no prompt of this template, which asks for {prompts}")

for name, longest in LONGEST.items():
    text = answers[name]
    odd = any(unicodedata.category(character) in ("Cc", "Cs", "Zl", "Zp") for character in text)
    if odd or text != text.strip() or not 1 <= len(text) <= longest:
        sys.exit(f"{name} must be one line of 1 to {longest} characters, without blanks around it: {text!a}")

slug = answers["project_slug"]
if not re.fullmatch(SLUG, slug):
    rule = "3 to 40 lower-case letters, digits and single hyphens between them, a letter first, such as my-api"
    sys.exit(f"project_slug names the AWS resources, so it must be {rule}: {slug!a}")
if slug.startswith(("aws", "ssm")):
    sys.exit(f"project_slug must not start with aws or ssm, which AWS keeps for its own parameters: {slug!a}")

if not re.fullmatch(REGION, answers["aws_region"]):
    sys.exit(f"aws_region must be a Region of AWS or AWS GovCloud, such as us-east-1: {answers['aws_region']!a}")

for name, choices in CHOICES.items():
    if answers[name] not in choices:
        sys.exit(f"{name} must be {' or '.join(choices)} for now: {answers[name]!a} is not available")
