"""The guard: looks whether streams have the key that they are to have, and tells when not.

A message goes one way: `handler` takes it off the queue, `messages` says what it asks for, `look`
looks at one stream and tells, `sweep` enqueues looks at all of them. `finding` and `item` decide
from what is described and what was known, and call nothing. Nothing here changes a stream.
"""
