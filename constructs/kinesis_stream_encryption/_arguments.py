"""Arguments of another type than annotated, which neither Python nor jsii rejects here."""

from __future__ import annotations

__all__ = ["check_argument", "check_text"]


def check_argument(name: str, value: object, attribute: str, expected: str) -> None:
    """Raise TypeError for a value without an attribute that all accepted values have."""
    # The class first: reading a property of a CDK object is a call to another process.
    if not (hasattr(type(value), attribute) or hasattr(value, attribute)):
        raise TypeError(f"{name} is {value!r}: pass {expected}")


def check_text(name: str, value: object) -> None:
    """Raise TypeError for anything but a string; None may be a context value that is not set."""
    if not isinstance(value, str):
        raise TypeError(f"the {name} is {value!r}: pass a string")
