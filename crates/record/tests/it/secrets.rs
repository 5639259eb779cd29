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

#[test]
fn codes_tokens_and_keys_that_let_one_in_are_not_recorded() {
    let forms = [
        (
            "iam",
            "Action=EnableMFADevice&Version=2010-05-08&UserName=u&SerialNumber=s&AuthenticationCode1=",
        ),
        ("iam", "Action=ResyncMFADevice&Version=2010-05-08&UserName=u&AuthenticationCode2="),
        ("sts", "Action=GetSessionToken&Version=2011-06-15&SerialNumber=s&TokenCode="),
        (
            "sns",
            "Action=CreatePlatformApplication&Version=2010-03-31&Name=n&Platform=GCM\
             &Attributes.entry.1.key=PlatformCredential&Attributes.entry.1.value=",
        ),
        (
            "sns",
            "Action=SetPlatformApplicationAttributes&Version=2010-03-31&PlatformApplicationArn=a\
             &Attributes.entry.1.key=PlatformPrincipal&Attributes.entry.1.value=",
        ),
        (
            "elasticbeanstalk",
            "Action=UpdateEnvironment&Version=2010-12-01&OptionSettings.member.1.OptionName=DB\
             &OptionSettings.member.1.Value=",
        ),
    ];
    for (service, form) in forms {
        let form = format!("{form}{SECRET}");
        assert_silent(&form, &signed(service, "POST", "/").form(&form));
    }
    let key = json!({"id": "k", "value": SECRET, "name": "n"}).to_string();
    let create = signed("apigateway", "POST", "/apikeys")
        .body(json!({"name": "n", "value": SECRET}).to_string())
        .answer(201, key.clone());
    assert_silent("CreateApiKey", &create);
    let patch = json!({"patchOperations": [{"op": "replace", "path": "/value", "value": SECRET},
        {"op": "replace", "path": "/name", "value": "open"}]});
    let update = signed("apigateway", "PATCH", "/apikeys/k").body(patch.to_string());
    assert_silent("UpdateApiKey", &update.clone().answer(200, key));
    assert!(update.record().to_string().contains("open"), "other patches are shown");
    let import = signed("apigateway", "POST", "/apikeys?mode=import&format=csv");
    assert_silent("ImportApiKeys", &import.body(format!("name,key\nn,{SECRET}")));
    let appsync = signed("appsync", "POST", "/v1/apis/a/apikeys")
        .body("{}")
        .answer(200, json!({"apiKey": {"id": SECRET, "expires": 1}}).to_string());
    assert_silent("CreateApiKey of AppSync", &appsync);
    assert_silent(
        "DeleteApiKey",
        &signed("appsync", "DELETE", &format!("/v1/apis/a/apikeys/{SECRET}")),
    );
}

#[test]
fn tokens_of_sessions_and_grants_are_not_recorded() {
    let session =
        signed("ssm", "POST", "/").json("AmazonSSM.StartSession", json!({"Target": "i-1"})).answer(
            200,
            json!({"SessionId": "s", "TokenValue": SECRET, "StreamUrl": "wss://x"}).to_string(),
        );
    assert_silent("StartSession", &session);
    let shown = &session.record()["responseElements"]["tokenValue"];
    assert_eq!(shown, "Value hidden due to security reasons.");
    let grant = signed("kms", "POST", "/")
        .json("TrentService.CreateGrant", json!({"KeyId": "k", "GrantTokens": [SECRET]}))
        .answer(200, json!({"GrantToken": SECRET, "GrantId": "g"}).to_string());
    assert_silent("CreateGrant", &grant);
    let retire = json!({"GrantToken": SECRET});
    assert_silent(
        "RetireGrant",
        &signed("kms", "POST", "/").json("TrentService.RetireGrant", retire),
    );
}

#[test]
fn statements_are_recorded_as_omitted() {
    let athena = signed("athena", "POST", "/")
        .json("AmazonAthena.StartQueryExecution", json!({"QueryString": SECRET, "WorkGroup": "w"}));
    assert_silent("athena", &athena);
    assert_eq!(athena.record()["requestParameters"]["queryString"], "***OMITTED***");
    let redshift = signed("redshift-data", "POST", "/")
        .json("RedshiftData.BatchExecuteStatement", json!({"Sqls": [SECRET], "Database": "d"}));
    assert_silent("redshift-data", &redshift);
    let body = json!({"sql": SECRET, "database": SECRET, "schema": SECRET, "resourceArn": "a",
        "parameters": [{"name": "p", "value": {"stringValue": SECRET}}]});
    let rds = signed("rds-data", "POST", "/Execute")
        .body(body.to_string())
        .answer(200, json!({"records": [[{"stringValue": SECRET}]]}).to_string());
    assert_silent("rds-data", &rds);
    let shown = rds.record();
    assert_eq!(shown["requestParameters"]["sql"], "**********");
    assert_eq!(shown["requestParameters"]["parameters"][0]["value"], "**********");
}

#[test]
fn environment_variables_keep_their_names_and_lose_their_values() {
    let variables = json!([{"name": "NAMED", "value": SECRET}]);
    let calls = [
        signed("codebuild", "POST", "/").json(
            "CodeBuild_20161006.StartBuild",
            json!({"projectName": "p", "environmentVariablesOverride": variables}),
        ),
        signed("codebuild", "POST", "/").json(
            "CodeBuild_20161006.CreateProject",
            json!({"name": "p", "environment": {"environmentVariables": variables}}),
        ),
        signed("batch", "POST", "/v1/submitjob").body(
            json!({"jobName": "j", "containerOverrides": {"environment": variables}}).to_string(),
        ),
        signed("amplify", "POST", "/apps")
            .body(json!({"name": "a", "environmentVariables": {"NAMED": SECRET}}).to_string()),
        signed("sagemaker", "POST", "/").json(
            "SageMaker.CreateModel",
            json!({"ModelName": "m", "PrimaryContainer": {"Environment": {"NAMED": SECRET}}}),
        ),
    ];
    for exchange in calls {
        let record = exchange.record();
        assert_silent(record["eventName"].as_str().unwrap(), &exchange);
        assert!(record["requestParameters"].to_string().contains("NAMED"), "{record}");
    }
    let typed = json!({"cluster": "c", "command": SECRET, "interactive": true});
    let execute = signed("ecs", "POST", "/");
    assert_silent(
        "ExecuteCommand",
        &execute.json("AmazonEC2ContainerServiceV20141113.ExecuteCommand", typed),
    );
}
