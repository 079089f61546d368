"""What can go wrong for a user: each message states the fact, both values and the remedy."""


class LstfillError(Exception):
    """Anything that ends a run with a message instead of a traceback."""


class ConfigError(LstfillError):
    """A configuration that cannot be meant: unknown keys, wrong types, values that contradict each other."""


class DataError(LstfillError):
    """A cube that does not hold what the job needs; lists every issue at once."""

    def __init__(self, subject: str, issues: list[str]) -> None:
        self.subject = subject
        self.issues = issues
        super().__init__(subject, issues)

    def __str__(self) -> str:
        if len(self.issues) == 1:
            return f"{self.subject}: {self.issues[0]}"
        return f"{self.subject}: {len(self.issues)} issues\n" + "\n".join(f"  - {issue}" for issue in self.issues)


class StoreError(LstfillError):
    """A store that cannot be reached, read or written, or that is not whole."""


class TrackingError(LstfillError):
    """A tracking server or a registered model that cannot be reached or found."""
