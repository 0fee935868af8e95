"""The EventBridge rule by which a wait goes on in further invocations, one for each request."""

from __future__ import annotations

import json
from typing import Any

from stream_encryption.aws_error import OVERLOAD, AwsError, Kind, translated
from stream_encryption.waiting import Wait

_TARGET = "1"
_MAX_INPUT = 8192


class Rule:
    """A rule that invokes a function each minute.

    Parameters
    ----------
    client
        EventBridge client.
    name
        Name of the rule; making it twice makes one.
    """

    def __init__(self, client: Any, name: str) -> None:
        self._client = client
        self.name = name

    def make(self, function_arn: str, event: dict[str, Any]) -> None:
        """Let the function be invoked with an event, once a minute from now on.

        Raises
        ------
        AwsError
            When a call fails, or EventBridge could not carry the event.
        """
        with translated("events:PutRule"):
            self._client.put_rule(
                Name=self.name,
                ScheduleExpression="rate(1 minute)",
                Description="Goes on with a custom resource's wait, and is removed at its end",
            )
        self.aim(function_arn, event)

    def aim(self, function_arn: str, event: dict[str, Any]) -> None:
        """Change what the function is invoked with.

        Raises
        ------
        AwsError
            When the call fails, or EventBridge could not carry the event.
        """
        action = "events:PutTargets"
        text = json.dumps(event)
        if len(text) > _MAX_INPUT:
            raise AwsError(action, Kind.OTHER, "TooLong", f"{len(text)} bytes of event")
        with translated(action):
            answer = self._client.put_targets(
                Rule=self.name, Targets=[{"Id": _TARGET, "Arn": function_arn, "Input": text}]
            )
        for failed in answer.get("FailedEntries", []):
            code, message = failed.get("ErrorCode", "Unknown"), failed.get("ErrorMessage", "")
            raise AwsError(action, Kind.OTHER, code, message)

    def remove(self, wait: Wait) -> None:
        """Remove the rule, trying for as long as the wait lasts; one that is gone is removed.

        Raises
        ------
        AwsError
            When a call fails for good.
        DeadlinePassed
            When time runs out before.
        """
        while True:
            try:
                with translated("events:RemoveTargets"):
                    self._client.remove_targets(Rule=self.name, Ids=[_TARGET])
                with translated("events:DeleteRule"):
                    self._client.delete_rule(Name=self.name)
            except AwsError as error:
                if error.kind is Kind.NOT_FOUND:
                    return
                if error.kind not in OVERLOAD:
                    raise
            else:
                return
            wait.pause()
