"""What is asked of AWS and what the product assumes, None where nothing is known.

docs/aws-evidence.md names each row beside the assumption that it settles.
"""

Questions = dict[str, tuple[str, str | None]]

PROBE: Questions = {
    "stop-in-plaintext": ("Stop on a plaintext stream", "InvalidArgumentException"),
    "missing-stream": ("Start on no stream", "ResourceNotFoundException"),
    "type-none": ("Start with EncryptionType NONE", "refused"),
    "first-look": ("description right after the first Start", "UPDATING, NONE"),
    "updating-type": ("EncryptionType during the first UPDATING", "NONE"),
    "updating-records": ("records written during the first UPDATING", None),
    "settling": ("last plaintext record after ACTIVE", "5 s at most"),
    "same-key": ("Start with the key that the stream has", "accepted, then UPDATING"),
    "start-while-updating": ("Start while UPDATING", "ResourceInUseException"),
    "echo-key-id": ("KeyId described after a key id", "key-id"),
    "echo-key-arn": ("KeyId described after a key ARN", "key-arn"),
    "echo-alias": ("KeyId described after an alias", None),
    "echo-alias-arn": ("KeyId described after an alias ARN", None),
    "echo-aws-managed": ("KeyId described after alias/aws/kinesis", "aws-managed"),
    "missing-key": ("Start with a key that does not exist", "KMSNotFoundException"),
    "disabled-key": ("Start with a disabled key", "KMSDisabledException"),
    "deleted-key": ("Start with a key pending deletion", "KMSInvalidStateException"),
    "start-after-active": ("Starts refused although described ACTIVE", None),
    "updating-time": ("seconds of UPDATING, each change", None),
}
QUOTA: Questions = {
    "quota-words": ("words of the spent quota", "Rate exceeded for stream"),
    "quota-count": ("changes accepted before that, the same key's included", "25"),
}
RIGHTS: Questions = {
    "rights-both": ("Start with the right to stream and key", "accepted"),
    "rights-key": ("Start without the right to the key", "AccessDeniedException"),
    "rights-stream": ("Start without the right to the stream", "AccessDeniedException"),
    "rights-describe-key": ("Start without kms:DescribeKey", None),
    "rights-alias": ("Start by alias, with the right to its key's ARN", None),
}
EVENTS: Questions = {
    "event-service-timeout": (
        "ServiceTimeout's place in Create, Update, Delete",
        "event, properties, properties",
    ),
    "event-url": ("date of the ResponseURL", "X-Amz-Date, X-Amz-Expires=7200"),
    "event-rollback": ("after a failed Update", "Update to the old properties"),
    "stack-resource": (
        "DescribeStackResource in Create, Update, rollback",
        "CREATE_IN_PROGRESS, UPDATE_IN_PROGRESS, UPDATE_IN_PROGRESS",
    ),
    "stack-resource-time": ("its LastUpdatedTimestamp after the URL's date", "5 s at most"),
}
STORY: Questions = {
    "deploy": ("app.py with a key", "ACTIVE, KMS, first key; KMS"),
    "switch-key": ("app.py with another key", "ACTIVE, KMS, second key; KMS"),
    "refuse-key": ("app.py with a disabled key", "ACTIVE, KMS, second key; KMS"),
    "destroy": ("cdk destroy", "ACTIVE, KMS, second key; KMS"),
    "producer": ("records refused meanwhile", "none"),
}
HAND_OVER: Questions = {
    "hand-over": ("a wait longer than its invocation", "handed over, then encrypted"),
    "precautions": ("looks at key and stack that could not be made", "none"),
}
ALL = PROBE | QUOTA | RIGHTS | EVENTS | STORY | HAND_OVER
