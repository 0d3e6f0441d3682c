"""As much of AWS's command line as the generated README uses: `aws SERVICE OPERATION --PARAMETER VALUE ...`.

Operations and parameters have the names that botocore's models give them, as in the real one.
"""

import json
import shlex
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import boto3
import jmespath
from botocore import xform_name


def install(folder: Path) -> None:
    """Makes it the `aws` of whoever has this folder on the PATH."""
    program = folder / "aws"
    program.write_text(f'#!/bin/sh\nexec {shlex.join([sys.executable, "-P", __file__])} "$@"\n', encoding="utf-8")
    program.chmod(0o755)


def main(service: str, operation: str, *arguments: str) -> None:
    client = boto3.client(service)  # type: ignore[call-overload]
    names = {xform_name(name, "-"): name for name in client.meta.method_to_api_mapping.values()}
    members = client.meta.service_model.operation_model(names[operation]).input_shape.members
    parameters = {f"--{xform_name(member, '-')}": (member, shape.type_name) for member, shape in members.items()}
    given: dict[str, Any] = {}
    shown = {"--query": "@", "--output": "json"}
    words = iter(arguments)
    for word in words:
        if word in shown:
            shown[word] = next(words)
        else:
            member, kind = parameters[word]
            given[member] = True if kind == "boolean" else next(words)
    method = operation.replace("-", "_")
    if client.can_paginate(method):
        answer = client.get_paginator(method).paginate(**given).build_full_result()
    else:
        answer = getattr(client, method)(**given)
        answer.pop("ResponseMetadata")
    show(jmespath.search(shown["--query"], answer), text=shown["--output"] == "text")


def show(found: Any, *, text: bool) -> None:
    if text:
        print("\t".join(map(str, found)) if isinstance(found, Sequence) and not isinstance(found, str) else found)
    elif found:
        print(json.dumps(found, indent=4, default=str))


if __name__ == "__main__":
    main(*sys.argv[1:])
