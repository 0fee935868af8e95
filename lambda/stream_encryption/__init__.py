"""Lambda-backed CloudFormation custom resource that encrypts a Kinesis data stream.

A request passes through the layers once: `handler` connects them, `protocol` is CloudFormation's
side (request, crhelper, response), `encryption` is the job (describe, decide, act, wait), and `aws`
calls AWS. No layer imports the one before it.
"""
