"""The operations on functions and versions: create, update, publish, list and delete."""

import json
from typing import Any

from embedded_aws.calls import Params
from embedded_aws.ec2 import vpc
from embedded_aws.errors import conflict, invalid
from embedded_aws.lambda_.data_plane import DataPlane
from embedded_aws.lambda_.deployed_version import Config, DeployedVersion
from embedded_aws.lambda_.regions import check_snapstart
from embedded_aws.lambda_.state import LATEST, Function, LambdaState, Version, new_id

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
    """The operations on functions and versions in one Region."""

    def __init__(self, state: LambdaState, data_plane: DataPlane) -> None:
        self._state = state
        self._data_plane = data_plane

    def create_function(self, params: Params) -> Config:
        """Create a function. It is in state Pending for `Delays.pending_s`."""
        state, now = self._state, self._state.clock.time()
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
                "The embedded AWS runs only container images. Set PackageType to Image and Code.ImageUri to an image."
            )
        if "Runtime" in params or "Handler" in params or params.get("Layers"):
            raise invalid(
                "Please don't provide Runtime, Handler or Layers when the intended function PackageType is Image."
            )
        config = _apply({**_DEFAULTS, "Architectures": params.get("Architectures") or ["x86_64"]}, params, name)
        check_snapstart(state.region, config)
        state.check_account_limits(config)
        state.check_role(name, config)
        self._set_vpc_id(config)
        digest, uri = state.registry.resolve(state.region, params["Code"]["ImageUri"])
        if name in state.functions:
            raise conflict(f"Function already exist: {name}")
        deployed = DeployedVersion(name, LATEST, config, uri, digest)
        version = Version(deployed, now + state.delays.pending_s, new_id(), now)
        version.revision_after_update = new_id()
        tags = dict(params.get("Tags") or {})
        state.functions[name] = function = Function(name, version, tags, last_number=state.last_numbers.get(name, 0))
        if params.get("Publish"):
            return state.describe(self._publish(function, params), qualified=True)
        return state.describe(version, updates=False)

    def get_function(self, params: Params) -> Config:
        """Return the configuration, the image, the tags and the reserved concurrency of a function."""
        function, qualifier = self._state.function(params)
        version = self._state.version(function, qualifier)
        configuration = self._state.describe(version, qualified=bool(qualifier))
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
        """Return the configuration of a function or of one of its versions."""
        function, qualifier = self._state.function(params)
        return self._state.describe(self._state.version(function, qualifier), qualified=bool(qualifier))

    def list_functions(self, params: Params) -> Config:
        """List $LATEST of every function, or all versions with FunctionVersion ALL."""
        all_versions = params.get("FunctionVersion") == "ALL"
        versions = [
            self._state.describe(version, qualified=all_versions)
            for function in self._state.functions.values()
            for version in ([function.latest, *function.published.values()] if all_versions else [function.latest])
        ]
        return page(versions, "Functions", params)

    def list_versions_by_function(self, params: Params) -> Config:
        """List $LATEST and all published versions."""
        function, _ = self._state.function(params)
        versions = [function.latest, *function.published.values()]
        return page([self._state.describe(version, qualified=True) for version in versions], "Versions", params)

    def update_function_code(self, params: Params) -> Config:
        """Change the image. Invocations run the old one for `Delays.update_s`."""
        state = self._state
        function = self._updatable(params)
        if "ImageUri" not in params:
            raise invalid("Please provide ImageUri when updating a function with packageType Image.")
        digest, uri = state.registry.resolve(state.region, params["ImageUri"])
        config = dict(function.latest.deployed.config)
        config["Architectures"] = params.get("Architectures") or config["Architectures"]
        if params.get("DryRun"):
            return state.describe(function.latest)
        self._update(function, DeployedVersion(function.name, LATEST, config, uri, digest))
        if params.get("Publish"):
            return state.describe(self._publish(function, {}), qualified=True)
        return state.describe(function.latest)

    def update_function_configuration(self, params: Params) -> Config:
        """Change the configuration. Invocations use the old one for `Delays.update_s`."""
        function = self._updatable(params)
        old = function.latest.deployed
        config = _apply(old.config, params, function.name)
        check_snapstart(self._state.region, config)
        self._state.check_account_limits(config)
        if {"Role", "VpcConfig", "TracingConfig"} & params.keys():
            self._state.check_role(function.name, config)
        self._set_vpc_id(config)
        self._update(function, DeployedVersion(function.name, LATEST, config, old.image_uri, old.image_digest))
        return self._state.describe(function.latest)

    def publish_version(self, params: Params) -> Config:
        """Publish $LATEST as a version. Return the last version if nothing has changed since."""
        function = self._updatable(params)
        sha256 = function.latest.deployed.image_digest.removeprefix("sha256:")
        if params.get("CodeSha256") not in (None, "", sha256):
            raise invalid(
                f"CodeSHA256 ({params['CodeSha256']}) is different from current CodeSHA256 in $LATEST ({sha256}). "
                "Please try again with the CodeSHA256 in $LATEST."
            )
        return self._state.describe(self._publish(function, params), qualified=True)

    def delete_function(self, params: Params) -> Config:
        """Delete a function, or one version that no alias uses."""
        state = self._state
        function, qualifier = state.function(params)
        if qualifier == LATEST:
            raise invalid("$LATEST version cannot be deleted without deleting the function.")
        if qualifier in function.aliases:
            raise invalid("Deletion of aliases is not currently supported.")
        if qualifier:
            aliases = [a.name for a in function.aliases.values() if qualifier in (a.version, *a.weights)]
            if aliases:
                raise conflict(
                    f"Unable to delete version because the following aliases reference it: [{', '.join(aliases)}]"
                )
            deleted = [function.published.pop(qualifier)] if qualifier in function.published else []
            function.policies.pop(qualifier, None)
            function.provisioned.pop(qualifier, None)
        else:
            deleted = [function.latest, *function.published.values()]
            for version in deleted:
                version.override = {"State": "Deleting"}
            state.clock.call_later(state.delays.delete_s, lambda: state.remove(function))
        for version in deleted:
            self._data_plane.forget(version.deployed)
            self._data_plane.forget(version.previous)
        return {"StatusCode": 202 if function.name in state.functions and not qualifier else 204}

    def _set_vpc_id(self, config: Config) -> None:
        """Set VpcId in the configuration. It is empty if the function is not in a VPC."""
        network = config.get("VpcConfig")
        if network:
            subnets, groups = network["SubnetIds"], network["SecurityGroupIds"]
            account, region = self._state.account, self._state.region
            network["VpcId"] = vpc.find_vpc(account, region, subnets, groups) if subnets else ""

    def _updatable(self, params: Params) -> Function:
        function, _ = self._state.function(params)
        self._state.check_revision(params.get("RevisionId"), function.latest.revision_id(self._state.clock.time()))
        self._state.check_updatable(function)
        return function

    def _update(self, function: Function, deployed: DeployedVersion) -> None:
        latest, now = function.latest, self._state.clock.time()
        self._data_plane.forget(latest.previous)
        latest.previous, latest.deployed = latest.deployed, deployed
        latest.updated_at, latest.last_modified = now + self._state.delays.update_s, now
        latest.revision, latest.revision_after_update = new_id(), new_id()

    def _publish(self, function: Function, params: Params) -> Version:
        """Return the new version, or the last one if neither code nor configuration has changed since."""
        now, latest = self._state.clock.time(), function.latest
        deployed = latest.deployed
        last = function.published.get(str(function.last_number))
        if last and _is_unchanged(last.deployed, deployed):
            return last
        function.last_number += 1
        config = dict(deployed.config)
        if "Description" in params:
            config["Description"] = params["Description"]
        number = str(function.last_number)
        copy = DeployedVersion(function.name, number, config, deployed.image_uri, deployed.image_digest)
        ready = max(latest.active_at, latest.updated_at, now) + self._state.delays.publish_s
        snapshot = None
        if config["SnapStart"]["ApplyOn"] == "PublishedVersions":
            snapshot = self._data_plane.take_snapshot(self._state, copy)
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


def _is_unchanged(published: DeployedVersion, latest: DeployedVersion) -> bool:
    """Return True if $LATEST has the image and the configuration of this version, whose Description may differ."""
    ignored = {"Description", "SnapStart"}
    old, new = published.config, latest.config
    same_snapstart = old["SnapStart"]["ApplyOn"] == new["SnapStart"]["ApplyOn"]
    same_image = published.image_digest == latest.image_digest
    return same_image and same_snapstart and all(old.get(k) == new.get(k) for k in {*old, *new} - ignored)


def _apply(config: Config, params: Params, name: str) -> Config:
    """Return the configuration with these parameters applied, in the form in which AWS returns it."""
    _check_limits(params)
    out = {**config, **{key: params[key] for key in CONFIGURABLE if key in params}}
    if not out.get("Environment", {}).get("Variables"):
        out.pop("Environment", None)
    if not any(out.get("ImageConfig", {}).values()):
        out.pop("ImageConfig", None)
    if network := params.get("VpcConfig"):
        out["VpcConfig"] = {
            "SubnetIds": sorted(network.get("SubnetIds", []), reverse=True),  # AWS does not guarantee an order
            "SecurityGroupIds": sorted(network.get("SecurityGroupIds", []), reverse=True),
        }
    if snap_start := params.get("SnapStart"):
        out["SnapStart"] = {"ApplyOn": snap_start.get("ApplyOn", "None"), "OptimizationStatus": "Off"}
    if out["SnapStart"]["ApplyOn"] == "PublishedVersions":
        # https://docs.aws.amazon.com/lambda/latest/dg/snapstart.html#snapstart-runtimes; the messages are not AWS's
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
    for key, maximum in (("MemorySize", 10240), ("Timeout", 1800)):
        if params.get(key, 0) > maximum:
            member = key[0].lower() + key[1:]
            raise invalid(
                f"1 validation error detected: Value '{params[key]}' at '{member}' failed to satisfy constraint: "
                f"Member must have value less than or equal to {maximum}"
            )
    variables = (params.get("Environment") or {}).get("Variables") or {}
    message = (
        "Lambda was unable to configure your environment variables because the environment variables you have provided"
    )
    reserved = sorted(RESERVED_VARIABLES & set(variables))
    if reserved:
        raise invalid(
            f"{message} contains reserved keys that are currently not supported for modification. "
            f"Reserved keys used in this request: {', '.join(reserved)}"
        )
    measured = json.dumps(variables, separators=(",", ":"), ensure_ascii=False)
    if len(measured.encode()) > 4096:
        raise invalid(f"{message} exceeded the 4KB limit. String measured: {measured}")


def page(items: list[Any], key: str, params: Params) -> Config:
    """Return one page of a list, at most MaxItems or 50 items, and the NextMarker of the next page."""
    start, size = int(params.get("Marker") or 0), min(int(params.get("MaxItems") or 50), 50)
    out: Config = {key: items[start : start + size]}
    if start + size < len(items):
        out["NextMarker"] = str(start + size)
    return out
