"""What goes wrong is told to the person at the terminal in two lines: what happened, and what to do."""


class Problem(Exception):
    """Ends the run: `what` happened, the `fix`, any `details` (log lines) and the exit code."""

    def __init__(self, what: str, fix: str, *, details: str = "", exit_code: int = 1) -> None:
        super().__init__(what)
        self.what = what
        self.fix = fix
        self.details = details
        self.exit_code = exit_code


class UsageProblem(Problem):
    """A mistake in deploy.toml or in the arguments: exit code 2."""

    def __init__(self, what: str, fix: str) -> None:
        super().__init__(what, fix, exit_code=2)
