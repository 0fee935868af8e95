"""Limits of remediation."""

from __future__ import annotations

from kinesis_stream_encryption._keys import StreamKey

__all__ = ["Remediation", "remediation_key"]

# Of a stream's 25 changes in 24 hours; and what fits into a DynamoDB item.
_MOST = {"max_changes_per_stream": 5, "max_streams_per_hour": 1_000}


class Remediation:
    """Limits within which a guard restores encryption that was stopped.

    Parameters
    ----------
    max_changes_per_stream
        Changes of one stream after which the guard yields, 1 to 5. It resumes when the stream
        became compliant without the guard, or when an operator releases it. Default: 3.
    max_streams_per_hour
        Streams that may be due within an hour, 1 to 1,000. If more are, no stream is changed until
        an operator releases the circuit breaker. Default: 10.

    Raises
    ------
    TypeError
        If a limit is not an int, for example a token.
    ValueError
        If a limit is out of bounds.
    """

    def __init__(self, *, max_changes_per_stream: int = 3, max_streams_per_hour: int = 10) -> None:
        self.max_changes_per_stream = max_changes_per_stream
        self.max_streams_per_hour = max_streams_per_hour
        for name, most in _MOST.items():
            value = getattr(self, name)
            if type(value) is not int:
                raise TypeError(f"{name} is {value!r}: pass a number from 1 to {most}")
            if not 1 <= value <= most:
                raise ValueError(f"{name} {value!r} is out of bounds: pass 1 to {most}")


def remediation_key(key: StreamKey | None) -> str:
    """Return the ARN of the key to restore; raise ValueError if it is not known."""
    if key is None or key.arn is None:
        given = f"encryption_key is {key.alias!r}" if key else "there is no encryption_key"
        raise ValueError(
            f"remediation requires a key that is known by ARN, and {given}: pass a kms.Key or "
            "kms.Key.from_key_arn, as an alias would require permission to apply any key"
        )
    return key.arn
