"""The guard: checks whether streams are encrypted with the desired key, and reports drift.

A message takes one path: `handler` receives it from the queue, `messages` parses it, `check`
evaluates one stream and reports it, `scan` enqueues checks of all streams. `finding`, `item`, and
`record` decide from the described and the stored state, and make no calls. Only `remediation`
changes a stream, in a function of its own.
"""
