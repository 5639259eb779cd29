//! What hangs on a neighbour: keys of KMS, transactions, shared snapshots.

use crate::common::{Exchange, signed};
use serde_json::json;

const KEY: &str = "1234abcd-12ab-34cd-56ef-1234567890ab";
const KEY_ARN: &str = "arn:aws:kms:eu-west-1:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab";

fn kms(operation: &str, body: serde_json::Value) -> Exchange {
    signed("kms", "POST", "/").json(&format!("TrentService.{operation}"), body)
}

#[test]
fn management_calls_of_kms_name_the_key_and_repeat_its_arn() {
    let entry = json!({"accountId": "111122223333", "type": "AWS::KMS::Key", "ARN": KEY_ARN});
    for operation in ["DisableKey", "EnableKeyRotation", "PutKeyPolicy", "TagResource"] {
        let record = kms(operation, json!({"KeyId": KEY})).record();
        assert_eq!(record["resources"], json!([entry]), "{operation}");
        assert_eq!(record["responseElements"], json!({"keyId": KEY_ARN}), "{operation}");
    }
    let grant = kms("CreateGrant", json!({"KeyId": KEY}))
        .answer(200, json!({"GrantId": "g", "GrantToken": "t"}).to_string());
    let record = grant.record();
    assert_eq!(record["responseElements"], json!({"grantId": "g", "keyId": KEY_ARN}));
    let alias = json!({"AliasName": "alias/a", "TargetKeyId": KEY});
    let record = kms("CreateAlias", alias).record();
    assert_eq!(record["responseElements"], json!({"keyId": KEY_ARN}));
    assert_eq!(record["resources"].as_array().map(Vec::len), Some(2), "{record}");
}

#[test]
fn an_alias_or_a_failure_repeats_no_key() {
    let record = kms("DisableKey", json!({"KeyId": "alias/a"})).record();
    assert!(record["responseElements"].is_null() && record.get("resources").is_none(), "{record}");
    let record = kms("DeleteAlias", json!({"AliasName": "alias/a"})).record();
    assert!(record["responseElements"].is_null(), "{record}");
    let failed = kms("DisableKey", json!({"KeyId": KEY}))
        .answer(400, json!({"__type": "NotFoundException"}).to_string());
    let record = failed.record();
    assert!(record["responseElements"].is_null() && record.get("resources").is_none(), "{record}");
}

#[test]
fn sharing_a_snapshot_is_written_the_same_in_both_forms() {
    let start = "Action=ModifySnapshotAttribute&Version=2016-11-15&SnapshotId=snap-1";
    let flat = "&Attribute=createVolumePermission&OperationType=remove&UserId.1=444455556666";
    let record = signed("ec2", "POST", "/").form(&format!("{start}{flat}")).record();
    let want = json!({
        "snapshotId": "snap-1",
        "attributeType": "CREATE_VOLUME_PERMISSION",
        "createVolumePermission": {"remove": {"items": [{"userId": "444455556666"}]}},
    });
    assert_eq!(record["requestParameters"], want);
    let flat = "&OperationType=add&UserGroup.1=all";
    let record = signed("ec2", "POST", "/").form(&format!("{start}{flat}")).record();
    let shared = &record["requestParameters"]["createVolumePermission"];
    assert_eq!(*shared, json!({"add": {"items": [{"group": "all"}]}}));
}

fn dynamodb(operation: &str, body: serde_json::Value) -> serde_json::Value {
    let exchange = signed("dynamodb", "POST", "/");
    exchange.json(&format!("DynamoDB_20120810.{operation}"), body).record()
}

#[test]
fn items_of_a_transaction_say_their_operation_and_no_values() {
    let record = dynamodb(
        "TransactWriteItems",
        json!({"TransactItems": [
            {"Put": {"TableName": "t", "Item": {"pk": {"S": "1"}, "card": {"S": "x"}},
                "ConditionExpression": "attribute_not_exists(pk)"}},
            {"Delete": {"TableName": "u", "Key": {"pk": {"S": "1"}}}},
        ]}),
    );
    let want = json!({"requestItems": [
        {"operation": "Put", "tableName": "t", "items": ["pk", "card"],
            "conditionExpression": "attribute_not_exists(pk)"},
        {"operation": "Delete", "tableName": "u", "key": {"pk": "1"}},
    ]});
    assert_eq!(record["requestParameters"], want);
    assert_eq!(record["apiVersion"], "2012-08-10");
    let got = json!({"TransactItems": [{"Get": {"TableName": "t", "Key": {"pk": {"S": "1"}}}}]});
    let item = &dynamodb("TransactGetItems", got)["requestParameters"]["requestItems"][0];
    assert_eq!(item["operation"], "Get");
}

#[test]
fn statements_name_their_tables_and_keep_names_of_attributes() {
    let insert = "INSERT INTO \"Music\" VALUE {'Artist': 'hidden'}";
    let statements = json!({"Statements": [{"Statement": insert}, {"Statement": insert}]});
    let record = dynamodb("BatchExecuteStatement", statements);
    assert_eq!(
        record["requestParameters"]["requestItems"][0]["statement"],
        "INSERT INTO \"Music\" VALUE {'Artist': ***(Redacted)}"
    );
    let arn = "arn:aws:dynamodb:eu-west-1:111122223333:table/Music";
    let table = json!({"accountId": "111122223333", "type": "AWS::DynamoDB::Table", "ARN": arn});
    assert_eq!(record["resources"], json!([table]));
    let transaction = json!({"TransactStatements": [{"Statement": "UPDATE Music SET a=1"}]});
    let record = dynamodb("ExecuteTransaction", transaction);
    assert_eq!(record["resources"], json!([table]));
    assert!(record["requestParameters"]["requestItems"].is_array(), "{record}");
}

#[test]
fn client_ids_are_shown_and_addresses_of_accounts_are_not() {
    let service = "AWSCognitoIdentityProviderService";
    let body = json!({"ClientId": "c1", "Username": "u", "Password": "p"});
    let record =
        signed("cognito-idp", "POST", "/").json(&format!("{service}.SignUp"), body).record();
    assert_eq!(record["requestParameters"]["clientId"], "c1");
    let service = "AWSOrganizationsV20161128";
    let body = json!({"Email": "ada@example.com", "AccountName": "ada"});
    let create = signed("organizations", "POST", "/");
    let record = create.json(&format!("{service}.CreateAccount"), body).record();
    assert_eq!(record["requestParameters"], json!({"email": "****", "accountName": "****"}));
    let body = json!({"Target": {"Type": "EMAIL", "Id": "ada@example.com"}});
    let invite = signed("organizations", "POST", "/");
    let record = invite.json(&format!("{service}.InviteAccountToOrganization"), body).record();
    assert_eq!(record["requestParameters"]["target"], json!({"type": "EMAIL", "id": "****"}));
}

#[test]
fn s3_tells_keys_of_customers_and_what_a_head_did_not_find() {
    let algorithm = "x-amz-server-side-encryption-customer-algorithm";
    let put = signed("s3", "PUT", "/b/k").field(algorithm, "AES256").record();
    assert_eq!(put["additionalEventData"]["SSEApplied"], "SSE_C");
    let key = signed("s3", "HEAD", "/b/k").answer(404, "").record();
    assert_eq!(key["errorMessage"], "The specified key does not exist.");
    let bucket = signed("s3", "HEAD", "/b").answer(404, "").record();
    assert_eq!(bucket["errorMessage"], "The specified bucket does not exist");
}

#[test]
fn the_body_of_an_api_gateway_call_stands_in_its_input() {
    let create = signed("apigateway", "POST", "/restapis");
    let record = create.body(json!({"name": "n"}).to_string()).record();
    assert_eq!(record["requestParameters"], json!({"createRestApiInput": {"name": "n"}}));
    let deploy = signed("apigateway", "POST", "/restapis/r/deployments");
    let record = deploy.body(json!({"stageName": "s"}).to_string()).record();
    let want = json!({"restApiId": "r", "createDeploymentInput": {"stageName": "s"}});
    assert_eq!(record["requestParameters"], want);
}
