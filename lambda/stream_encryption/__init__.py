"""Lambda-backed CloudFormation custom resource that encrypts a Kinesis data stream.

One way through: an event is parsed into a request (`request`), the lifecycle decides from the
described state of the stream what to do (`lifecycle`), and the outcome becomes an answer
(`answer`). AWS is reached through `kinesis`, `kms` and `cloudformation` only; time through
`waiting` only; crhelper's side of the protocol is `custom_resource`.
"""
