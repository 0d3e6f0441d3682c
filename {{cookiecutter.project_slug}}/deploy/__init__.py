"""The deploy tool behind ./deploy.sh.

`config.py` reads deploy.toml. `stack.py` lists the parts of the service, and each file in `resources/` contains everything
the tool knows about one part: its configuration, permissions, cost, checks and status. `plan.py` compares them with the
AWS account and applies the differences. `release.py` publishes versions and moves traffic. Each file in `commands/` is one
command; `commands/deploy.py` reads like a runbook.
"""
