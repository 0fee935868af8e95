"""What `make accept` checks, and what the product assumes: None if nothing is known.

docs/aws-evidence.md names each row next to the assumption that it tests.
"""

Assumptions = dict[str, tuple[str, str | None]]

PROBE: Assumptions = {
    "stop-unencrypted": ("Stop on an unencrypted stream", "InvalidArgumentException"),
    "missing-stream": ("Start on a stream that does not exist", "ResourceNotFoundException"),
    "type-none": ("Start with EncryptionType NONE", "rejected"),
    "first-description": ("description immediately after the first Start", "UPDATING, NONE"),
    "updating-type": ("EncryptionType during the first UPDATING", "NONE"),
    "updating-records": ("records written during the first UPDATING", None),
    "propagation": ("last unencrypted record after ACTIVE", "5 s at most"),
    "same-key": ("Start with the key that the stream has", "accepted, then UPDATING"),
    "start-while-updating": ("Start while UPDATING", "ResourceInUseException"),
    "echo-key-id": ("KeyId described after a key ID", "key-id"),
    "echo-key-arn": ("KeyId described after a key ARN", "key-arn"),
    "echo-alias": ("KeyId described after an alias", None),
    "echo-alias-arn": ("KeyId described after an alias ARN", None),
    "echo-aws-managed": ("KeyId described after alias/aws/kinesis", "aws-managed"),
    "missing-key": ("Start with a key that does not exist", "KMSNotFoundException"),
    "disabled-key": ("Start with a disabled key", "KMSDisabledException"),
    "deleted-key": ("Start with a key pending deletion", "KMSInvalidStateException"),
    "start-after-active": ("Starts rejected although described ACTIVE", None),
    "updating-time": ("seconds of UPDATING, each change", None),
}
QUOTA: Assumptions = {
    "quota-message": ("message of the exhausted quota", "Rate exceeded for stream"),
    "quota-count": ("changes accepted before, those with the same key included", "25"),
}
PERMISSIONS: Assumptions = {
    "permissions-both": ("Start with permission for stream and key", "accepted"),
    "permissions-key": ("Start without permission for the key", "AccessDeniedException"),
    "permissions-stream": ("Start without permission for the stream", "AccessDeniedException"),
    "permissions-describe-key": ("Start without kms:DescribeKey", None),
    "permissions-alias": ("Start by alias, with permission for the ARN of its key", None),
}
EVENTS: Assumptions = {
    "event-service-timeout": (
        "place of ServiceTimeout in Create, Update, Delete",
        "event, properties, properties",
    ),
    "event-url": ("date of the ResponseURL", "X-Amz-Date, X-Amz-Expires=7200"),
    "event-rollback": ("after a failed Update", "Update to the old properties"),
    "stack-resource": (
        "DescribeStackResource in Create, Update, rollback",
        "CREATE_IN_PROGRESS, UPDATE_IN_PROGRESS, UPDATE_IN_PROGRESS",
    ),
    "stack-resource-time": (
        "its LastUpdatedTimestamp after the date of the URL",
        "60 s at most; 5 s if it is not in progress",
    ),
    "stack-status": (
        "DescribeStacks in Create, Update, rollback",
        "CREATE_IN_PROGRESS, UPDATE_IN_PROGRESS, UPDATE_ROLLBACK_IN_PROGRESS",
    ),
}
SCENARIO: Assumptions = {
    "deploy": ("app.py with a key", "ACTIVE, KMS, first key; KMS"),
    "switch-key": ("app.py with another key", "ACTIVE, KMS, second key; KMS"),
    "reject-key": ("app.py with a disabled key", "ACTIVE, KMS, second key; KMS"),
    "destroy": ("cdk destroy", "ACTIVE, KMS, second key; KMS"),
    "producer": ("records that failed in the meantime", "none"),
}
CONTINUATION: Assumptions = {
    "continuation": ("a wait longer than its invocation", "continued, then encrypted"),
    "preflight": ("preflight checks that could not be made", "none"),
}
ALL = PROBE | QUOTA | PERMISSIONS | EVENTS | SCENARIO | CONTINUATION
