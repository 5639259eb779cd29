//! What must never leave memory: one call per way a secret travels.

use crate::common::{Exchange, signed};
use serde_json::json;

/// Stands for every secret; no record may hold it.
const SECRET: &str = "hunter2-correct-horse";

fn assert_silent(what: &str, exchange: &Exchange) {
    let built = exchange.build();
    let text = String::from_utf8_lossy(&built.json);
    assert!(!text.contains(SECRET), "{what}: {text}");
    let intent = exchange.call(trailbox_record::build_intent);
    assert!(!String::from_utf8_lossy(&intent.json).contains(SECRET), "{what}: intent");
}

#[test]
fn secrets_of_query_services_are_not_recorded() {
    let forms = [
        ("iam", "Action=CreateLoginProfile&Version=2010-05-08&UserName=u&Password="),
        ("iam", "Action=ChangePassword&Version=2010-05-08&OldPassword=x&NewPassword="),
        ("iam", "Action=CreateUser&Version=2010-05-08&UserName=u&NoSuchPassword="),
        (
            "rds",
            "Action=CreateDBInstance&Version=2014-10-31&DBInstanceIdentifier=d&MasterUserPassword=",
        ),
        ("sts", "Action=AssumeRoleWithSAML&Version=2011-06-15&RoleArn=r&SAMLAssertion="),
        ("sts", "Action=AssumeRoleWithWebIdentity&Version=2011-06-15&RoleArn=r&WebIdentityToken="),
        ("ec2", "Action=RunInstances&Version=2016-11-15&UserData="),
        ("ec2", "Action=CreateLaunchTemplate&Version=2016-11-15&LaunchTemplateData.UserData="),
        (
            "ec2",
            "Action=CreateVpnConnection&Version=2016-11-15&Options.TunnelOptions.1.PreSharedKey=",
        ),
    ];
    for (service, form) in forms {
        let form = format!("{form}{SECRET}");
        assert_silent(&form, &signed(service, "POST", "/").form(&form));
    }
}

#[test]
fn secrets_of_json_services_are_not_recorded() {
    let calls = [
        (
            "secretsmanager",
            "secretsmanager.CreateSecret",
            json!({"Name": "n", "SecretString": SECRET}),
        ),
        (
            "secretsmanager",
            "secretsmanager.PutSecretValue",
            json!({"SecretId": "n", "SecretString": SECRET}),
        ),
        ("ssm", "AmazonSSM.PutParameter", json!({"Name": "n", "Value": SECRET})),
        (
            "ssm",
            "AmazonSSM.SendCommand",
            json!({"DocumentName": "d", "Parameters": {"commands": [SECRET]}}),
        ),
        ("kms", "TrentService.Encrypt", json!({"KeyId": "k", "Plaintext": SECRET})),
        (
            "cognito-idp",
            "AWSCognitoIdentityProviderService.AdminSetUserPassword",
            json!({"UserPoolId": "p", "Username": "u", "Password": SECRET}),
        ),
        ("sqs", "AmazonSQS.CreateQueue", json!({"QueueName": "q", "UnknownPassword": SECRET})),
        (
            "dynamodb",
            "DynamoDB_20120810.PutItem",
            json!({"TableName": "t", "Item": {"pk": {"S": "1"}, "card": {"S": SECRET}}}),
        ),
        (
            "dynamodb",
            "DynamoDB_20120810.ExecuteStatement",
            json!({"Statement": format!("SELECT * FROM t WHERE a='{SECRET}'")}),
        ),
    ];
    for (service, target, body) in calls {
        assert_silent(target, &signed(service, "POST", "/").json(target, body));
    }
    let zip = json!({"FunctionName": "f", "Environment": {"Variables": {"K": SECRET}}});
    assert_silent(
        "lambda",
        &signed("lambda", "POST", "/2015-03-31/functions").body(zip.to_string()),
    );
}

#[test]
fn credentials_of_answers_are_not_recorded_but_their_key_is() {
    let answer = format!(
        "<AssumeRoleResponse><AssumeRoleResult><Credentials><AccessKeyId>ASIAX</AccessKeyId>\
         <SecretAccessKey>{SECRET}</SecretAccessKey><SessionToken>{SECRET}</SessionToken>\
         <Expiration>2025-01-02T03:04:05Z</Expiration></Credentials></AssumeRoleResult>\
         </AssumeRoleResponse>"
    );
    let assume = signed("sts", "POST", "/")
        .form("Action=AssumeRole&Version=2011-06-15&RoleArn=arn:aws:iam::111122223333:role/r")
        .answer(200, answer.clone());
    assert_silent("AssumeRole", &assume);
    assert_eq!(assume.record()["responseElements"]["credentials"]["accessKeyId"], "ASIAX");
    let kept = assume.keep_tokens().record();
    let credentials = &kept["responseElements"]["credentials"];
    assert_eq!(credentials["sessionToken"], SECRET);
    assert_eq!(credentials.as_object().unwrap().len(), 3, "the secret key stays out: {kept}");

    let created = format!(
        "<CreateAccessKeyResponse><CreateAccessKeyResult><AccessKey><UserName>u</UserName>\
         <AccessKeyId>AKIAX</AccessKeyId><SecretAccessKey>{SECRET}</SecretAccessKey></AccessKey>\
         </CreateAccessKeyResult></CreateAccessKeyResponse>"
    );
    let create = signed("iam", "POST", "/")
        .form("Action=CreateAccessKey&Version=2010-05-08&UserName=u")
        .answer(200, created);
    assert_silent("CreateAccessKey", &create);

    let pair = format!(
        "<CreateKeyPairResponse xmlns=\"u\"><keyName>k</keyName><keyMaterial>{SECRET}</keyMaterial>\
         </CreateKeyPairResponse>"
    );
    let key = signed("ec2", "POST", "/")
        .form("Action=CreateKeyPair&Version=2016-11-15&KeyName=k")
        .answer(200, pair);
    assert_silent("CreateKeyPair", &key);
}

#[test]
fn signatures_tokens_and_customer_keys_of_s3_are_not_recorded() {
    let query = format!("X-Amz-Signature={SECRET}&X-Amz-Security-Token={SECRET}&X-Amz-Expires=300");
    assert_silent("presigned", &signed("s3", "GET", &format!("/b/k?{query}")));
    let old = format!("/b/k?AWSAccessKeyId=AK&Expires=1&Signature={SECRET}");
    assert_silent("presigned, old", &signed("s3", "GET", &old));
    for name in [
        "x-amz-security-token",
        "X-Amz-Server-Side-Encryption-Customer-Key",
        "x-amz-copy-source-server-side-encryption-customer-key",
        "x-amz-mfa",
        "x-amz-s3session-token",
        "Cookie",
    ] {
        assert_silent(name, &signed("s3", "PUT", "/b/k").field(name, SECRET));
    }
}
