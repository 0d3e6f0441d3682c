"""Functions and versions: create, update, publish, list, delete."""

import json
from typing import Any

from embedded_aws.errors import conflict, invalid
from embedded_aws.lambda_.state import LATEST, Config, Deployed, Function, LambdaState, Version, new_id

Params = dict[str, Any]

# https://docs.aws.amazon.com/lambda/latest/dg/configuration-envvars.html#configuration-envvars-runtime
RESERVED_VARIABLES = {
    "_HANDLER", "_X_AMZN_TRACE_ID", "AWS_DEFAULT_REGION", "AWS_REGION", "AWS_EXECUTION_ENV",
    "AWS_LAMBDA_FUNCTION_NAME", "AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "AWS_LAMBDA_FUNCTION_VERSION",
    "AWS_LAMBDA_INITIALIZATION_TYPE", "AWS_LAMBDA_LOG_GROUP_NAME", "AWS_LAMBDA_LOG_STREAM_NAME",
    "AWS_ACCESS_KEY", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN",
    "AWS_LAMBDA_RUNTIME_API", "LAMBDA_TASK_ROOT", "LAMBDA_RUNTIME_DIR",
}  # fmt: skip
CONFIGURABLE = (
    "Role", "Description", "Timeout", "MemorySize", "VpcConfig", "Environment", "TracingConfig", "KMSKeyArn",
    "DeadLetterConfig", "FileSystemConfigs", "ImageConfig", "EphemeralStorage", "SnapStart", "LoggingConfig",
)  # fmt: skip


class Functions:
    def __init__(self, state: LambdaState, forget: Any, take_snapshot: Any) -> None:
        self.state = state
        self._take_snapshot = take_snapshot
        self._forget = forget  # called with every Deployed that nothing can reach any more

    def create_function(self, params: Params) -> Config:
        state, now = self.state, self.state.clock.time()
        name, qualifier = state.locate(params)
        if qualifier:
            raise invalid("The function name must not have a qualifier.")
        if len(name) > 64:
            raise invalid(
                f"1 validation error detected: Value '{name}' at 'functionName' failed to satisfy constraint: "
                "Member must have length less than or equal to 64"
            )
        if params.get("PackageType") != "Image" or "ImageUri" not in params["Code"]:
            raise invalid(
                "The embedded AWS runs container images only: PackageType Image and Code.ImageUri are needed."
            )
        if "Runtime" in params or "Handler" in params or params.get("Layers"):
            raise invalid(
                "Please don't provide Runtime, Handler or Layers when the intended function PackageType is Image."
            )
        config = _configured({**_DEFAULTS, "Architectures": params.get("Architectures") or ["x86_64"]}, params, name)
        state.check_memory(config)
        state.check_role(config)
        digest, uri = state.registry.resolve(state.region, params["Code"]["ImageUri"])
        if name in state.functions:
            raise conflict(f"Function already exist: {name}")
        version = Version(Deployed(name, LATEST, config, uri, digest), now + state.delays.pending_s, new_id(), now)
        version.settled_revision = new_id()
        state.functions[name] = function = Function(name, version, dict(params.get("Tags") or {}))
        if params.get("Publish"):
            return state.describe(self._publish(function, params), qualified=True)
        return state.describe(version, updates=False)

    def get_function(self, params: Params) -> Config:
        function, qualifier = self.state.function(params)
        version = self.state.version(function, qualifier)
        configuration = self.state.describe(version, qualified=bool(qualifier))
        uri = version.deployed.image_uri
        out: Config = {
            "Configuration": configuration,
            "Code": {"RepositoryType": "ECR", "ImageUri": uri, "ResolvedImageUri": uri},
        }
        if function.tags:
            out["Tags"] = function.tags
        if function.reserved_concurrency is not None:
            out["Concurrency"] = {"ReservedConcurrentExecutions": function.reserved_concurrency}
        return out

    def get_function_configuration(self, params: Params) -> Config:
        function, qualifier = self.state.function(params)
        return self.state.describe(self.state.version(function, qualifier), qualified=bool(qualifier))

    def list_functions(self, params: Params) -> Config:
        every = params.get("FunctionVersion") == "ALL"
        versions = [
            self.state.describe(version, qualified=every)
            for function in self.state.functions.values()
            for version in ([function.latest, *function.published.values()] if every else [function.latest])
        ]
        return page(versions, "Functions", params)

    def list_versions_by_function(self, params: Params) -> Config:
        function, _ = self.state.function(params)
        versions = [function.latest, *function.published.values()]
        return page([self.state.describe(version, qualified=True) for version in versions], "Versions", params)

    def update_function_code(self, params: Params) -> Config:
        state = self.state
        function = self._changeable(params)
        if "ImageUri" not in params:
            raise invalid("Please provide ImageUri when updating a function with packageType Image.")
        digest, uri = state.registry.resolve(state.region, params["ImageUri"])
        config = dict(function.latest.deployed.config)
        config["Architectures"] = params.get("Architectures") or config["Architectures"]
        if params.get("DryRun"):
            return state.describe(function.latest)
        self._update(function, Deployed(function.name, LATEST, config, uri, digest))
        if params.get("Publish"):
            return state.describe(self._publish(function, {}), qualified=True)
        return state.describe(function.latest)

    def update_function_configuration(self, params: Params) -> Config:
        function = self._changeable(params)
        old = function.latest.deployed
        config = _configured(old.config, params, function.name)
        self.state.check_memory(config)
        if "Role" in params or "VpcConfig" in params:
            self.state.check_role(config)
        self._update(function, Deployed(function.name, LATEST, config, old.image_uri, old.image_digest))
        return self.state.describe(function.latest)

    def publish_version(self, params: Params) -> Config:
        function = self._changeable(params)
        sha256 = function.latest.deployed.image_digest.removeprefix("sha256:")
        if params.get("CodeSha256") not in (None, "", sha256):
            raise invalid(
                f"CodeSHA256 ({params['CodeSha256']}) is different from current CodeSHA256 in $LATEST ({sha256}). "
                "Please try again with the CodeSHA256 in $LATEST."
            )
        return self.state.describe(self._publish(function, params), qualified=True)

    def delete_function(self, params: Params) -> Config:
        state = self.state
        function, qualifier = state.function(params)
        if qualifier == LATEST:
            raise invalid("$LATEST version cannot be deleted without deleting the function.")
        if qualifier in function.aliases:
            raise invalid("Deletion of aliases is not currently supported.")
        if qualifier:
            users = [a.name for a in function.aliases.values() if qualifier in (a.version, *a.weights)]
            if users:
                raise conflict(
                    f"Unable to delete version because the following aliases reference it: [{', '.join(users)}]"
                )
            gone = [function.published.pop(qualifier)] if qualifier in function.published else []
            function.policies.pop(qualifier, None)
            function.provisioned.pop(qualifier, None)
        else:
            del state.functions[function.name]
            gone = [function.latest, *function.published.values()]
            for url in function.urls.values():
                url.close()
        for version in gone:
            self._forget(version.deployed)
            self._forget(version.previous)
        return {"StatusCode": 204}

    def _changeable(self, params: Params) -> Function:
        function, _ = self.state.function(params)
        self.state.check_revision(params.get("RevisionId"), function.latest.revision_id(self.state.clock.time()))
        self.state.check_settled(function)
        return function

    def _update(self, function: Function, deployed: Deployed) -> None:
        latest, now = function.latest, self.state.clock.time()
        self._forget(latest.previous)
        latest.previous, latest.deployed = latest.deployed, deployed
        latest.settled_at, latest.last_modified = now + self.state.delays.update_s, now
        latest.revision, latest.settled_revision = new_id(), new_id()

    def _publish(self, function: Function, params: Params) -> Version:
        """The new version, or the last one when neither code nor configuration has changed since."""
        now, latest = self.state.clock.time(), function.latest
        deployed = latest.deployed
        last = function.published.get(str(function.last_number))
        if last and last.deployed.image_digest == deployed.image_digest and _same(last.deployed, deployed):
            return last
        function.last_number += 1
        config = dict(deployed.config)
        if "Description" in params:
            config["Description"] = params["Description"]
        number = str(function.last_number)
        copy = Deployed(function.name, number, config, deployed.image_uri, deployed.image_digest)
        ready = max(latest.active_at, latest.settled_at, now) + self.state.delays.publish_s
        snapshot = None
        if config["SnapStart"]["ApplyOn"] == "PublishedVersions":
            snapshot = self._take_snapshot(self.state, copy)
        function.published[number] = Version(copy, ready, new_id(), now, snapshot=snapshot)
        latest.new_revision()
        return function.published[number]


_DEFAULTS: Config = {
    "Description": "",
    "Timeout": 3,
    "MemorySize": 128,
    "TracingConfig": {"Mode": "PassThrough"},
    "EphemeralStorage": {"Size": 512},
    "SnapStart": {"ApplyOn": "None", "OptimizationStatus": "Off"},
}


def _same(published: Deployed, latest: Deployed) -> bool:
    """A version's own description and SnapStart status do not make $LATEST different from it."""
    ignored = {"Description", "SnapStart"}
    old, new = published.config, latest.config
    same_snapstart = old["SnapStart"]["ApplyOn"] == new["SnapStart"]["ApplyOn"]
    return same_snapstart and all(old.get(k) == new.get(k) for k in {*old, *new} - ignored)


def _configured(config: Config, params: Params, name: str) -> Config:
    """The configuration with these parameters applied, in the form in which AWS answers it."""
    _check_limits(params)
    out = {**config, **{key: params[key] for key in CONFIGURABLE if key in params}}
    if not out.get("Environment", {}).get("Variables"):
        out.pop("Environment", None)
    if not any(out.get("ImageConfig", {}).values()):
        out.pop("ImageConfig", None)
    if vpc := params.get("VpcConfig"):
        out["VpcConfig"] = {
            "SubnetIds": sorted(vpc.get("SubnetIds", []), reverse=True),  # AWS promises no order
            "SecurityGroupIds": sorted(vpc.get("SecurityGroupIds", []), reverse=True),
            "VpcId": "vpc-0" if vpc.get("SubnetIds") else "",
        }
    if snap_start := params.get("SnapStart"):
        out["SnapStart"] = {"ApplyOn": snap_start.get("ApplyOn", "None"), "OptimizationStatus": "Off"}
    if out["SnapStart"]["ApplyOn"] == "PublishedVersions":
        # https://docs.aws.amazon.com/lambda/latest/dg/snapstart.html#snapstart-runtimes; AWS's own words are not known
        if out["EphemeralStorage"]["Size"] > 512:
            raise invalid("SnapStart is not supported with ephemeral storage larger than 512 MB.")
        if out.get("FileSystemConfigs"):
            raise invalid("SnapStart is not supported with Amazon EFS.")
    logging = {"LogFormat": "Text", "LogGroup": f"/aws/lambda/{name}", **config.get("LoggingConfig", {})}
    logging |= params.get("LoggingConfig") or {}
    if logging["LogFormat"] == "JSON":
        logging = {"ApplicationLogLevel": "INFO", "SystemLogLevel": "INFO", **logging}
    elif {"ApplicationLogLevel", "SystemLogLevel"} & set(params.get("LoggingConfig") or {}):
        raise invalid(
            "To change the log level configuration, you must set the log format to JSON. "
            "Text format logs don't have levels."
        )
    else:
        logging = {key: logging[key] for key in ("LogFormat", "LogGroup")}
    return {**out, "LoggingConfig": logging}


def _check_limits(params: Params) -> None:
    for key, most in (("MemorySize", 10240), ("Timeout", 900)):
        if params.get(key, 0) > most:
            where = key[0].lower() + key[1:]
            raise invalid(
                f"1 validation error detected: Value '{params[key]}' at '{where}' failed to satisfy constraint: "
                f"Member must have value less than or equal to {most}"
            )
    variables = (params.get("Environment") or {}).get("Variables") or {}
    because = (
        "Lambda was unable to configure your environment variables because the environment variables you have provided"
    )
    reserved = sorted(RESERVED_VARIABLES & set(variables))
    if reserved:
        raise invalid(
            f"{because} contains reserved keys that are currently not supported for modification. "
            f"Reserved keys used in this request: {', '.join(reserved)}"
        )
    measured = json.dumps(variables, separators=(",", ":"), ensure_ascii=False)
    if len(measured.encode()) > 4096:
        raise invalid(f"{because} exceeded the 4KB limit. String measured: {measured}")


def page(items: list[Any], key: str, params: Params) -> Config:
    """One page of a list, 50 items unless asked for fewer, with AWS's marker for the next."""
    start, size = int(params.get("Marker") or 0), min(int(params.get("MaxItems") or 50), 50)
    out: Config = {key: items[start : start + size]}
    if start + size < len(items):
        out["NextMarker"] = str(start + size)
    return out
