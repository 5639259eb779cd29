#![no_main]
//! query and EC2: any form, and any XML answer.

#[path = "shared.rs"]
mod shared;

const FORM: (&str, &str) = ("content-type", "application/x-www-form-urlencoded");

libfuzzer_sys::fuzz_target!(|body: &[u8]| {
    let calls = [
        ("iam", "Action=CreateUser&Version=2010-05-08&"),
        ("ec2", "Action=RunInstances&Version=2016-11-15&"),
        ("ec2", "Action=CreateFlowLogs&Version=2016-11-15&"),
    ];
    for (service, head) in calls {
        let signed: &str = match service {
            "iam" => {
                "AWS4-HMAC-SHA256 Credential=AK/20260101/us-east-1/iam/aws4_request, Signature=0"
            }
            _ => "AWS4-HMAC-SHA256 Credential=AK/20260101/us-east-1/ec2/aws4_request, Signature=0",
        };
        let form = [head.as_bytes(), body].concat();
        shared::record("POST", "/", &[FORM, ("authorization", signed)], &form);
    }
});
