"""Lambda-backed CloudFormation custom resource that encrypts a Kinesis data stream.

An event goes one way: `handler` wires the rooms, `protocol` is CloudFormation's side (the request,
crhelper, the answer), `encryption` is the job (look, decide, act, wait), `aws` is what is called.
No room knows the one before it.
"""
