"""Test that 50 execution environments can use a database server that allows 60 connections."""

import json
import time
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psycopg

from embedded_aws import Delays, EmbeddedAws
from scripts.deploy_tool import run_deploy_sh
from scripts.project_changes import extend_aws_timeouts
from tests.support.bake import Bake
from tests.support.deploy_tool import database_for, push_image

ENVIRONMENTS = 50
TIMEOUT_S = 600
ROUNDS = 2
CONNECTIONS = """
SELECT count(*), count(*) FILTER (WHERE wait_event_type = 'Lock')
FROM pg_stat_activity WHERE application_name = 'my-api-prod'
"""


def test_50_environments_fit_into_60_connections(bake: Bake, tmp_path: Path) -> None:
    # A restore needs less CPU time than INIT.
    project = extend_aws_timeouts(bake(migrations="alembic", cold_starts="snapstart").copy(tmp_path), TIMEOUT_S)
    project.edit("app/db.py", "TIMEOUT_S = 5", f"TIMEOUT_S = {TIMEOUT_S}")
    config = project.path / "deploy.toml"
    config.write_text(config.read_text("utf-8").replace("\ntimeout_s = 30", "\ntimeout_s = 900"), "utf-8")
    # 50 environments start simultaneously, perhaps on two cores.
    with EmbeddedAws(delays=Delays(init_timeout_s=TIMEOUT_S)) as aws, database_for(project, aws) as database:
        deployed = run_deploy_sh(project, aws, "--image", push_image(project, aws))
        assert deployed.code == 0, deployed.err

        def create(number: int) -> int:
            body, headers = json.dumps({"name": f"item {number}"}).encode(), {"Content-Type": "application/json"}
            request = urllib.request.Request(f"{deployed.url}items", body, headers)
            with urllib.request.urlopen(request, timeout=900) as response:  # urlopen raises HTTPError for 4xx and 5xx
                return int(response.status)

        with (
            ThreadPoolExecutor(ENVIRONMENTS) as pool,
            psycopg.connect(database) as locker,
            psycopg.connect(database, autocommit=True) as watcher,
        ):
            for first in range(0, ROUNDS * ENVIRONMENTS, ENVIRONMENTS):
                # Each request waits for the lock, so that each needs its own environment.
                locker.execute("LOCK TABLE items")
                requests = [pool.submit(create, first + number) for number in range(ENVIRONMENTS)]
                while watcher.execute(CONNECTIONS).fetchone() != (ENVIRONMENTS, ENVIRONMENTS):
                    assert not [request.result() for request in requests if request.done()]
                    time.sleep(0.1)
                locker.commit()
                assert {request.result() for request in requests} == {201}
            assert watcher.execute(CONNECTIONS).fetchone() == (ENVIRONMENTS, 0)
            assert watcher.execute("SELECT count(*) FROM items").fetchone() == (ROUNDS * ENVIRONMENTS,)
            assert watcher.execute("SHOW max_connections").fetchone() == ("60",)
        assert len({environment.pid for environment in aws.environments("my-api-prod")}) == ENVIRONMENTS
