"""Grants to producers and consumers: permissions on stream and key, and their order."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from aws_cdk import Annotations as Acknowledgeable
from aws_cdk import App, Environment, NestedStack, PhysicalName, RemovalPolicy, Stack
from aws_cdk import aws_iam as iam
from aws_cdk import aws_kinesis as kinesis
from aws_cdk import aws_kms as kms
from aws_cdk import aws_lambda as lambda_
from aws_cdk.assertions import Annotations, Match, Template

from kinesis_stream_encryption import KinesisStreamEncryption
from tests.synth.templates import (
    ACCOUNT,
    HERE,
    KEY_ARN,
    REGION,
    TYPE,
    encrypt,
    filled_in,
    grantee_policies,
    key_policies,
    only,
    resources,
    stream_arn,
    stream_in,
    warnings,
)

CONTEXT = {"StringEquals": {"kms:EncryptionContext:aws:kinesis:arn": stream_arn("orders")}}


def key_statements(stack: Stack) -> list[Any]:
    """Statements of the grantees' policies that allow actions on a key."""
    statements = [each for policy in key_policies(stack).values() for each in policy]
    return [each for each in statements if "kms:" in str(each["Action"])]


def key_policy(stack: Stack) -> list[Any]:
    """Statements in the policy of the only key, without the default statement."""
    statements: list[Any] = only(stack, "AWS::KMS::Key")["Properties"]["KeyPolicy"]["Statement"]
    return statements[1:]


@pytest.mark.parametrize(
    ("grant", "stream_action", "key_actions"),
    [
        ("grant_read", "kinesis:GetRecords", ["kms:Decrypt"]),
        ("grant_write", "kinesis:PutRecords", ["kms:GenerateDataKey"]),
        ("grant_read_write", "kinesis:PutRecords", ["kms:Decrypt", "kms:GenerateDataKey"]),
    ],
)
def test_grant_covers_stream_and_key(
    stack: Stack, role: iam.Role, grant: str, stream_action: str, key_actions: list[str]
) -> None:
    encryption = encrypt(stack, encryption_key=kms.Key(stack, "Key"))
    result: iam.Grant = getattr(encryption, grant)(role)
    (key,) = resources(stack, "AWS::KMS::Key")
    assert result.success
    found = [each for statements in grantee_policies(stack).values() for each in statements]
    (stream,) = [each for each in found if stream_action in each["Action"]]
    assert stream["Resource"] == stream_arn("orders")
    assert [each["Action"] for each in key_statements(stack)] == key_actions
    for each in key_statements(stack):
        assert each["Resource"] == {"Fn::GetAtt": [key, "Arn"]}
        assert each["Condition"] == CONTEXT


def test_key_policy_is_not_changed_for_a_role_of_the_account(stack: Stack, role: iam.Role) -> None:
    encrypt(stack, encryption_key=kms.Key(stack, "Key")).grant_read(role)
    assert key_policy(stack) == []


def test_permissions_exist_before_encryption_starts(stack: Stack, role: iam.Role) -> None:
    encrypt(stack, encryption_key=kms.Key(stack, "Key")).grant_read_write(role)
    dependencies = only(stack, TYPE)["DependsOn"]
    assert len(key_policies(stack)) == 2
    assert key_policies(stack).keys() <= set(dependencies)
    assert len(dependencies) == 3


def test_permissions_of_an_imported_role_exist_before_encryption_starts(stack: Stack) -> None:
    role = iam.Role.from_role_arn(stack, "App", f"arn:aws:iam::{ACCOUNT}:role/app")
    encrypt(stack, encryption_key=kms.Key(stack, "Key")).grant_read(role)
    (policy,) = key_policies(stack)
    assert policy in only(stack, TYPE)["DependsOn"]
    assert [each["Condition"] for each in key_statements(stack)] == [CONTEXT]


def test_granting_twice_changes_nothing(stack: Stack, role: iam.Role) -> None:
    encryption = encrypt(stack, encryption_key=kms.Key(stack, "Key"))
    encryption.grant_read(role)
    once = grantee_policies(stack)
    for _ in range(2):
        encryption.grant_read(role)
    assert grantee_policies(stack) == once


def test_role_of_another_account_is_also_granted_by_the_key_policy(stack: Stack) -> None:
    role = iam.Role.from_role_arn(stack, "App", "arn:aws:iam::444455556666:role/app")
    encrypt(stack, encryption_key=kms.Key(stack, "Key")).grant_read(role)
    (statement,) = key_policy(stack)
    assert statement["Action"] == "kms:Decrypt"
    assert statement["Condition"] == CONTEXT


def test_the_aws_managed_key_needs_no_permissions(stack: Stack, role: iam.Role) -> None:
    assert encrypt(stack).grant_read_write(role).success
    assert key_statements(stack) == []
    assert warnings(stack) == []


OTHER_ACCOUNTS: dict[str, Callable[[Stack], iam.IGrantable]] = {
    "account": lambda _: iam.AccountPrincipal("444455556666"),
    "ARN": lambda _: iam.ArnPrincipal("arn:aws:iam::444455556666:role/far"),
    "role": lambda stack: iam.Role.from_role_arn(
        stack, "Far", "arn:aws:iam::444455556666:role/far"
    ),
}


@pytest.mark.parametrize("consumer", OTHER_ACCOUNTS.values(), ids=OTHER_ACCOUNTS)
def test_other_accounts_cannot_use_the_aws_managed_key(
    stack: Stack, consumer: Callable[[Stack], iam.IGrantable]
) -> None:
    encrypt(stack).grant_read(consumer(stack))
    (warning,) = (each for each in warnings(stack) if "alias/aws/kinesis" in each)
    assert (
        "belongs to account '444455556666' and cannot use 'alias/aws/kinesis', whose key policy "
        "cannot be changed: pass a customer managed key, encryption_key=kms.Key(…)"
    ) in warning


def test_an_unknown_account_causes_no_warning(env_agnostic_stack: Stack) -> None:
    role = iam.Role.from_role_arn(env_agnostic_stack, "App", f"arn:aws:iam::{ACCOUNT}:role/app")
    encrypt(env_agnostic_stack).grant_read(role)
    assert warnings(env_agnostic_stack) == []


def test_imported_key_causes_an_info_annotation(stack: Stack, role: iam.Role) -> None:
    encryption = encrypt(stack, encryption_key=kms.Key.from_key_arn(stack, "Key", KEY_ARN))
    encryption.grant_read(role)
    (statement,) = key_statements(stack)
    assert statement["Resource"] == KEY_ARN
    assert statement["Condition"] == CONTEXT
    assert warnings(stack) == []
    Annotations.from_stack(stack).has_info(
        "/Stack/Encryption",
        f"The key policy of the imported key '{KEY_ARN}' is not changed. If it does not let the "
        "account use IAM policies, add a statement that allows kms:Decrypt for 'Stack/App' if "
        f"kms:EncryptionContext:aws:kinesis:arn is '{stream_arn('orders')}'",
    )


def key_with(stack: Stack, *statements: iam.PolicyStatement) -> kms.Key:
    return kms.Key(stack, "Key", policy=iam.PolicyDocument(statements=[*statements]))


def administration(principal: iam.IPrincipal, *actions: str) -> iam.PolicyStatement:
    return iam.PolicyStatement(principals=[principal], actions=[*actions], resources=["*"])


@pytest.mark.parametrize(
    "policy",
    [
        [administration(iam.ArnPrincipal(f"arn:aws:iam::{ACCOUNT}:role/admin"), "kms:*")],
        [administration(iam.AccountRootPrincipal(), "kms:Describe*", "kms:Put*")],
    ],
    ids=["other principal", "other actions"],
)
def test_key_policy_that_does_not_delegate_to_iam_is_a_warning(
    stack: Stack, role: iam.Role, policy: list[iam.PolicyStatement]
) -> None:
    encrypt(stack, encryption_key=key_with(stack, *policy)).grant_write(role)
    statements = only(stack, "AWS::KMS::Key")["Properties"]["KeyPolicy"]["Statement"]
    assert len(statements) == len(policy), "a statement would change in place, before the switch"
    (warning,) = warnings(stack)
    assert warning.startswith(
        "the key policy of 'Stack/Key' does not let the account use IAM policies, so the grant of "
        "kms:GenerateDataKey to 'Stack/App' has no effect: add this statement to the key policy: "
        '{"Effect": "Allow", "Principal": {"AWS": "arn:${AWS::Partition}:iam::111122223333:root"}, '
        '"Action": "kms:GenerateDataKey", "Resource": "*"}'
    )


@pytest.mark.parametrize(
    "policy",
    [
        administration(iam.AccountRootPrincipal(), "kms:*"),
        administration(iam.AccountPrincipal(ACCOUNT), "kms:Generate*"),
        administration(iam.ArnPrincipal(f"arn:aws:iam::{ACCOUNT}:root"), "*"),
    ],
    ids=["root", "account", "ARN"],
)
def test_key_policy_that_delegates_to_iam_is_not_a_warning(
    stack: Stack, role: iam.Role, policy: iam.PolicyStatement
) -> None:
    encrypt(stack, encryption_key=key_with(stack, policy)).grant_write(role)
    assert warnings(stack) == []


ROOT = {"Fn::Sub": "arn:${AWS::Partition}:iam::${AWS::AccountId}:root"}
DELEGATION = {"Effect": "Allow", "Principal": {"AWS": ROOT}, "Action": "kms:*", "Resource": "*"}
KEY_POLICIES_AS_WRITTEN: dict[str, object] = {
    "one statement": {"Statement": DELEGATION},
    "conditional statement": {"Statement": [{"Fn::If": ["C", DELEGATION, DELEGATION]}]},
    "conditional policy": {"Fn::If": ["C", {"Statement": [DELEGATION]}, {"Statement": []}]},
    "all principals of the account": {
        "Statement": {
            **DELEGATION,
            "Principal": "*",
            "Condition": {"StringEquals": {"kms:CallerAccount": {"Ref": "AWS::AccountId"}}},
        }
    },
}


@pytest.mark.parametrize("policy", KEY_POLICIES_AS_WRITTEN.values(), ids=KEY_POLICIES_AS_WRITTEN)
def test_key_policies_of_existing_templates_are_read(
    env_agnostic_stack: Stack, policy: object
) -> None:
    stack = env_agnostic_stack
    resource = kms.CfnKey(stack, "KeyResource", key_policy=policy)
    resource.apply_removal_policy(RemovalPolicy.RETAIN)
    key = kms.Key.from_key_arn(stack, "Key", resource.attr_arn)
    role = iam.Role(stack, "App", assumed_by=iam.ServicePrincipal("lambda.amazonaws.com"))
    encrypt(stack, encryption_key=key).grant_write(role)
    assert warnings(stack) == []


def test_lazy_role_is_a_grantee(stack: Stack) -> None:
    role = iam.LazyRole(stack, "Lazy", assumed_by=iam.AccountRootPrincipal())
    assert encrypt(stack, encryption_key=kms.Key(stack, "Key")).grant_write(role).success
    assert [each["Action"] for each in key_statements(stack)] == ["kms:GenerateDataKey"]
    assert warnings(stack) == []


def test_role_of_an_instance_profile_is_a_grantee(stack: Stack, role: iam.Role) -> None:
    iam.CfnInstanceProfile(stack, "Profile", roles=[role.role_name])
    encrypt(stack, encryption_key=kms.Key(stack, "Key")).grant_write(role)
    assert warnings(stack) == []


def test_warning_can_be_acknowledged(stack: Stack, role: iam.Role) -> None:
    admin = administration(iam.ArnPrincipal(f"arn:aws:iam::{ACCOUNT}:role/admin"), "kms:*")
    encryption = encrypt(stack, encryption_key=key_with(stack, admin))
    encryption.grant_write(role)
    Acknowledgeable.of(encryption).acknowledge_warning(
        "cdk-kinesis-stream-encryption:keyPolicy", "another stack completes the key policy"
    )
    assert warnings(stack) == []


@pytest.mark.parametrize(
    "principal",
    [*OTHER_ACCOUNTS.values(), lambda _: iam.OrganizationPrincipal("o-1234567890")],
    ids=[*OTHER_ACCOUNTS, "organization"],
)
def test_imported_stream_needs_a_resource_policy_for_other_accounts(
    stack: Stack, principal: Callable[[Stack], iam.IGrantable]
) -> None:
    encryption = encrypt(stack, encryption_key=kms.Key(stack, "Key"))
    grant = encryption.grant_read(principal(stack))
    assert not grant.success
    (statement,) = key_policy(stack)
    assert statement["Action"] == "kms:Decrypt"
    assert CONTEXT["StringEquals"].items() <= statement["Condition"]["StringEquals"].items()
    (warning,) = warnings(stack)
    assert (
        "has no access to the stream 'orders', which this app does not own: the owner of the "
        "stream must add this statement to its resource policy: "
        '{"Action": ["kinesis:DescribeStreamSummary", "kinesis:GetRecords", '
    ) in warning
    assert f'"Resource": "{stream_arn("orders")}"' in warning
    assert "kinesis:SubscribeToShard" not in warning, "resource policies do not support it"
    assert resources(stack, "AWS::Kinesis::ResourcePolicy") == {}


def test_owned_stream_gets_a_resource_policy(stack: Stack) -> None:
    stream, key = kinesis.Stream(stack, "Stream"), kms.Key(stack, "Key")
    encryption = KinesisStreamEncryption(stack, "Encryption", stream=stream, encryption_key=key)
    assert encryption.grant_read(iam.AccountPrincipal("444455556666")).success
    assert len(resources(stack, "AWS::Kinesis::ResourcePolicy")) == 1
    assert all("this app does not own" not in each for each in warnings(stack))


def test_resource_imported_without_a_role_is_rejected(stack: Stack) -> None:
    encryption = encrypt(stack, encryption_key=kms.Key(stack, "Key"))
    arn = f"arn:aws:lambda:{REGION}:{ACCOUNT}:function:consumer"
    function = lambda_.Function.from_function_arn(stack, "Consumer", arn)
    message = "'Stack/Consumer' was imported without a role, so it cannot get permissions: "
    for grant in (encryption.grant_read, encryption.grant_write, encryption.grant_read_write):
        with pytest.raises(ValueError, match=f"^{message}import it with its role"):
            grant(function)
    with pytest.raises(ValueError, match=message):
        encryption.grant(function, "kinesis:GetRecords")


def test_grants_to_a_function_imported_with_its_role(stack: Stack) -> None:
    arn = f"arn:aws:lambda:{REGION}:{ACCOUNT}:function:consumer"
    role = iam.Role.from_role_arn(stack, "Role", f"arn:aws:iam::{ACCOUNT}:role/consumer")
    function = lambda_.Function.from_function_attributes(
        stack, "Consumer", function_arn=arn, role=role
    )
    assert encrypt(stack, encryption_key=kms.Key(stack, "Key")).grant_read(function).success
    assert [each["Action"] for each in key_statements(stack)] == ["kms:Decrypt"]


def test_alias_allows_only_its_target_key(stack: Stack, role: iam.Role) -> None:
    alias = kms.Alias.from_alias_name(stack, "Alias", "alias/orders")
    encrypt(stack, encryption_key=alias).grant_read(role)
    (statement,) = key_statements(stack)
    assert statement["Resource"] == f"arn:aws:kms:{REGION}:{ACCOUNT}:key/*"
    assert statement["Condition"] == {
        **CONTEXT,
        "ForAnyValue:StringEquals": {"kms:ResourceAliases": "alias/orders"},
    }


def test_principal_without_policies_is_granted_by_the_key_policy(stack: Stack) -> None:
    encryption = encrypt(stack, encryption_key=kms.Key(stack, "Key"))
    encryption.grant_read(iam.ServicePrincipal("firehose.amazonaws.com"))
    (statement,) = key_policy(stack)
    assert statement == {
        "Action": "kms:Decrypt",
        "Condition": CONTEXT,
        "Effect": "Allow",
        "Principal": {"Service": "firehose.amazonaws.com"},
        "Resource": "*",
    }


def test_grantee_of_another_stack_causes_a_warning(app: App, stack: Stack) -> None:
    """A dependency on its stack could be circular, because that stack can refer to this one."""
    other = Stack(app, "Other", env=HERE)
    role = iam.Role(other, "App", assumed_by=iam.AccountRootPrincipal())
    encrypt(stack, encryption_key=kms.Key(stack, "Key")).grant_read(role)
    (warning,) = warnings(stack)
    assert warning.startswith(
        "'Other/App' is in the stack 'Other', so the stream may be encrypted before it has access "
        "to the key: create the key in a third stack, and let 'Stack' depend on it, with "
        "add_dependency"
    )
    assert stack.dependencies == []


def test_dependency_on_the_grantees_stack_causes_no_warning(app: App, stack: Stack) -> None:
    keys, other = Stack(app, "Keys", env=HERE), Stack(app, "Other", env=HERE)
    stack.add_dependency(other)
    role = iam.Role(other, "App", assumed_by=iam.AccountRootPrincipal())
    encrypt(stack, encryption_key=kms.Key(keys, "Key")).grant_write(role)
    assert len(key_statements(other)) == 1
    assert warnings(stack) == []


def test_key_policy_names_no_role_that_does_not_exist_yet(app: App, stack: Stack) -> None:
    """The stack of the key is deployed before that of the role."""
    keys = Stack(app, "Keys", env=Environment(account="444455556666", region=REGION))
    key = kms.Key(keys, "Key", alias="orders")
    role = iam.Role(
        stack,
        "App",
        assumed_by=iam.AccountRootPrincipal(),
        role_name=PhysicalName.GENERATE_IF_NEEDED,
    )
    encrypt(stack, encryption_key=key).grant_write(role)
    (statement,) = key_policy(keys)
    assert filled_in(statement["Principal"]) == {"AWS": f"arn:aws:iam::{ACCOUNT}:root"}


def test_l1_key_gets_its_statements(stack: Stack) -> None:
    statement = {"Effect": "Allow", "Principal": "*", "Action": "kms:Describe*", "Resource": "*"}
    policy = {"Version": "2012-10-17", "Statement": [statement]}
    resource = kms.CfnKey(stack, "Key", key_policy=policy)
    resource.apply_removal_policy(RemovalPolicy.RETAIN)
    encryption = encrypt(stack, encryption_key=kms.Key.from_cfn_key(resource))
    encryption.grant_read(iam.ServicePrincipal("firehose.amazonaws.com"))
    (added,) = key_policy(stack)
    assert (added["Action"], added["Condition"]) == ("kms:Decrypt", CONTEXT)


def test_l1_key_imported_by_arn_causes_an_info_annotation(stack: Stack) -> None:
    resource = kms.CfnKey(stack, "Key")
    resource.apply_removal_policy(RemovalPolicy.RETAIN)
    encryption = encrypt(
        stack, encryption_key=kms.Key.from_key_arn(stack, "Imported", resource.attr_arn)
    )
    encryption.grant_read(iam.ServicePrincipal("firehose.amazonaws.com"))
    Annotations.from_stack(stack).has_info(
        "/Stack/Encryption",
        Match.string_like_regexp("add a statement that allows kms:Decrypt for .*firehose"),
    )


@pytest.mark.parametrize(("streams", "fits"), [(12, True), (40, False)])
def test_role_with_too_many_grants_is_rejected(
    stack: Stack, role: iam.Role, streams: int, *, fits: bool
) -> None:
    key = kms.Key(stack, "Key")
    for number in range(streams):
        encrypt(
            stack,
            f"Encryption{number}",
            stream=stream_in(stack, f"stream-{number}"),
            encryption_key=key,
        ).grant_read(role)
    if fits:
        assert len(key_statements(stack)) == streams
    else:
        with pytest.raises(
            RuntimeError, match=r"(?s)(?=.*'Stack/App' would have \d+ char)"
        ) as error:
            key_statements(stack)
        assert str(error.value).count("distribute the streams") == 1


def test_immutable_role_causes_an_info_annotation(stack: Stack) -> None:
    arn = f"arn:aws:iam::{ACCOUNT}:role/app"
    role = iam.Role.from_role_arn(stack, "App", arn, mutable=False)
    encrypt(stack, encryption_key=kms.Key(stack, "Key")).grant_write(role)
    assert grantee_policies(stack) == {}
    (statement,) = key_policy(stack)
    assert statement["Principal"] == {"AWS": arn}
    assert statement["Condition"] == CONTEXT
    Annotations.from_stack(stack).has_info(
        "/Stack/Encryption",
        Match.string_like_regexp(
            "The role 'Stack/App' is not changed. Unless it already has access, add this statement "
            'to it, and one for the stream: {"Action": "kms:GenerateDataKey"'
        ),
    )


def test_nested_stack_waits_for_key_access_of_a_role_in_its_parent(
    stack: Stack, role: iam.Role
) -> None:
    nested = NestedStack(stack, "Child")
    encrypt(nested, encryption_key=kms.Key(stack, "Key")).grant_write(role)
    (policy,) = key_policies(stack)
    assert policy in only(stack, "AWS::CloudFormation::Stack")["DependsOn"]
    assert warnings(stack) == []


def test_encryption_waits_for_key_access_of_a_role_in_a_nested_stack(stack: Stack) -> None:
    nested = NestedStack(stack, "Child")
    role = iam.Role(nested, "App", assumed_by=iam.AccountRootPrincipal())
    encrypt(stack, encryption_key=kms.Key(stack, "Key")).grant_write(role)
    assert len(key_statements(nested)) == 1
    (nested_resource,) = resources(stack, "AWS::CloudFormation::Stack")
    assert nested_resource in only(stack, TYPE)["DependsOn"]
    assert warnings(stack) == []


def test_siblings_wait_for_each_other(stack: Stack) -> None:
    ours, theirs = NestedStack(stack, "Ours"), NestedStack(stack, "Theirs")
    role = iam.Role(theirs, "App", assumed_by=iam.AccountRootPrincipal())
    encrypt(ours, encryption_key=kms.Key(stack, "Key")).grant_write(role)
    first, second = resources(stack, "AWS::CloudFormation::Stack").items()
    assert second[0] in first[1]["DependsOn"]


def test_nested_stack_that_owns_the_key_cannot_wait(stack: Stack, role: iam.Role) -> None:
    """The policy of the role refers to the key, so it depends on the nested stack."""
    nested = NestedStack(stack, "Child")
    encrypt(nested, encryption_key=kms.Key(nested, "Key")).grant_write(role)
    assert "DependsOn" not in only(stack, "AWS::CloudFormation::Stack")
    (warning,) = warnings(stack)
    assert "'Stack/App' is in the stack 'Stack'" in warning
    assert "create the key in a third stack" in warning
    assert "Token" not in warning


def test_key_of_another_stack_stays_referenced_while_it_is_a_previous_key(
    app: App, stack: Stack, role: iam.Role
) -> None:
    keys = Stack(app, "Keys", env=HERE)
    first, second = kms.Key(keys, "First"), kms.Key(keys, "Second")
    encryption = encrypt(stack, encryption_key=second, previous_keys=[first])
    encryption.grant_write(role)
    exports = Template.from_stack(keys).to_json()["Outputs"]
    assert len(exports) == 2, "another stack still imports each export"
