"""Simulated IAM: permissions of the handler's role, as they take effect and are revoked."""

from __future__ import annotations

from dataclasses import dataclass

from simulated_aws.service import ACCOUNT, ServiceError

_DENIAL = {
    "kinesis": "AccessDeniedException",
    "kms": "AccessDeniedException",
    "lambda": "AccessDeniedException",
    "cloudformation": "AccessDenied",
}


@dataclass(frozen=True)
class Denial:
    """An action that is not allowed for some time.

    Parameters
    ----------
    action
        Such as ``kms:DescribeKey``.
    explicit
        Whether a policy denies it, or only none allows it yet.
    ends
        In seconds since the epoch.
    policy
        Type of the policy that denies it or does not allow it, as AWS names it.
    """

    action: str
    explicit: bool
    ends: float
    policy: str = "identity-based policy"


class Iam:
    """Allows or denies calls of the handler's role.

    Parameters
    ----------
    denials
        Actions that are not allowed, and when.
    """

    def __init__(self, denials: tuple[Denial, ...]) -> None:
        self._denials = denials

    def denial(self, action: str, now: float) -> Denial | None:
        """Return why an action is not allowed at a time; None when it is."""
        for denial in self._denials:
            if denial.action == action and now < denial.ends:
                return denial
        return None

    def check(self, action: str, now: float) -> None:
        """Raise the service's error when an action is not allowed."""
        denial = self.denial(action, now)
        if denial is None:
            return
        article = "an" if denial.policy[0] == "i" else "a"
        because = (
            f"with an explicit deny in {article} {denial.policy}"
            if denial.explicit
            else f"because no {denial.policy} allows the {action} action"
        )
        raise ServiceError(
            _DENIAL[action.partition(":")[0]],
            f"User: arn:aws:sts::{ACCOUNT}:assumed-role/encryption/encryption is not authorized"
            f" to perform: {action} {because}",
        )
