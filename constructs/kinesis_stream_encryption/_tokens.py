"""Tokens in strings.

CDK runs in another process, so it is asked only about strings that may hold a token.
"""

from __future__ import annotations

from functools import lru_cache

from aws_cdk import Stack, Token

__all__ = ["begins_with_token", "is_unresolved", "resolve"]

# "Tokens and token encodings", AWS CDK Developer Guide: ${TOKEN[name.number]} within a string.
_BEGIN = "${"


def is_unresolved(value: str) -> bool:
    """Whether a string holds a token."""
    return _BEGIN in value and _holds_token(value)


def begins_with_token(value: str) -> bool:
    """Whether a string is a token, or one followed by more."""
    return value.startswith(_BEGIN) and is_unresolved(value)


def resolve(stack: Stack, value: str) -> object:
    """Replace the tokens in a string by what stands in the stack's template."""
    return stack.resolve(value) if _BEGIN in value else value


# A stack's region and account are the same strings for every stream in it.
@lru_cache
def _holds_token(value: str) -> bool:
    return Token.is_unresolved(value)
