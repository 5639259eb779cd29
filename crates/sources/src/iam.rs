//! IAM's query API: `ListUsers`, then `ListAccessKeys` of each user, page by
//! page. It tells no secrets. Source: IAM API Reference.

use crate::client::{Ask, Client};
use crate::error::SourceError;
use crate::listing::{FoundKey, FoundUser, Listing, USERS_MAX};
use crate::{CONNECTIONS, PAGE};
use futures::{StreamExt as _, TryStreamExt as _};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use trailbox_identity::{AccountId, Arn};
use trailbox_service_facts::decode::{Element, parse_xml};

/// Everybody, or an error.
pub(crate) async fn read(client: &Client<'_>, prefix: &str) -> Result<Listing, SourceError> {
    let mut users = Vec::new();
    for element in pages(client, "ListUsers", "Users", "").await? {
        let user = user(&element, prefix).ok_or_else(|| SourceError::Broken {
            asked: "ListUsers".to_owned(),
            rule: "a user has a `UserName`".to_owned(),
        })?;
        users.push((text(&element, "UserName").to_owned(), user));
    }
    let users: Vec<FoundUser> = futures::stream::iter(users)
        .map(|(name, user)| with_keys(client, name, user))
        .buffered(CONNECTIONS)
        .try_filter_map(|user| async { Ok(user) })
        .try_collect()
        .await?;
    let mut listing = Listing::default();
    for user in users {
        listing.add(user)?;
    }
    Ok(listing)
}

fn user(element: &Element, prefix: &str) -> Option<FoundUser> {
    let name = Some(text(element, "UserName")).filter(|name| !name.is_empty())?;
    let arn = Arn::parse(text(element, "Arn"));
    let account = arn.map(|arn| arn.account).filter(|account| AccountId::parse(account).is_ok());
    let path = Some(text(element, "Path")).filter(|path| !path.is_empty());
    Some(FoundUser {
        name: format!("{prefix}{name}"),
        path: path.unwrap_or("/").to_owned(),
        id: text(element, "UserId").to_owned(),
        account: account.map(str::to_owned),
        keys: Vec::new(),
    })
}

/// The user with its keys; `None` when it is gone since it was listed.
async fn with_keys(
    client: &Client<'_>,
    name: String,
    user: FoundUser,
) -> Result<Option<FoundUser>, SourceError> {
    let field = format!("&UserName={}", utf8_percent_encode(&name, NON_ALPHANUMERIC));
    let found = match pages(client, "ListAccessKeys", "AccessKeyMetadata", &field).await {
        Err(SourceError::Refused { code, .. }) if code == " NoSuchEntity" => return Ok(None),
        found => found?,
    };
    let keys = found.iter().map(key).collect::<Result<_, _>>()?;
    Ok(Some(FoundUser { keys, ..user }))
}

/// A key whose state is not told in so many words is no basis for trust.
fn key(element: &Element) -> Result<FoundKey, SourceError> {
    let active = match text(element, "Status") {
        "Active" => true,
        "Inactive" => false,
        _ => {
            let rule = "the `Status` of an access key is `Active` or `Inactive`";
            return Err(broken("ListAccessKeys", rule));
        }
    };
    Ok(FoundKey { id: text(element, "AccessKeyId").to_owned(), secret: None, active })
}

/// The members of the list `holder` over all pages.
async fn pages(
    client: &Client<'_>,
    action: &str,
    holder: &str,
    fields: &str,
) -> Result<Vec<Element>, SourceError> {
    let (mut found, mut marker) = (Vec::new(), String::new());
    loop {
        let mut form = format!("Action={action}&Version=2010-05-08&MaxItems={PAGE}{fields}");
        if !marker.is_empty() {
            let marker = utf8_percent_encode(&marker, NON_ALPHANUMERIC).to_string();
            form.extend(["&Marker=", &marker]);
        }
        let what = action.to_owned();
        let ask = Ask { method: "POST", target: "/".to_owned(), form, what };
        let (page, next) = page(client, &ask, holder).await?;
        found.extend(page);
        if USERS_MAX < found.len() {
            return Err(SourceError::TooMany { what: "users", max: USERS_MAX });
        }
        match next {
            None => return Ok(found),
            Some(next) if next.is_empty() || next == marker => {
                return Err(broken(action, "a truncated page has a new `Marker`"));
            }
            Some(next) => marker = next,
        }
    }
}

/// The members of one page, and the marker of the next when there is one.
async fn page(
    client: &Client<'_>,
    ask: &Ask,
    holder: &str,
) -> Result<(Vec<Element>, Option<String>), SourceError> {
    let answer = client.send(ask).await?;
    let element = parse_xml(&answer.body);
    if answer.status != 200 {
        let code = element.ok().and_then(|it| it.find("Code").map(|code| code.text.clone()));
        let code: String =
            code.unwrap_or_default().chars().filter(char::is_ascii_alphanumeric).take(64).collect();
        let hint = match answer.status {
            401 | 403 => "; the key's user needs iam:ListUsers and iam:ListAccessKeys",
            _ => "",
        };
        let code = if code.is_empty() { code } else { format!(" {code}") };
        return Err(SourceError::Refused {
            asked: ask.what.clone(),
            status: answer.status,
            code,
            hint,
        });
    }
    read_page(&ask.what, holder, &element.map_err(|err| broken(&ask.what, &err.to_string()))?)
}

fn read_page(
    action: &str,
    holder: &str,
    element: &Element,
) -> Result<(Vec<Element>, Option<String>), SourceError> {
    let result = element.child(&format!("{action}Result"));
    let list = result.and_then(|result| result.child(holder));
    let (Some(result), Some(list)) = (result, list) else {
        return Err(broken(action, &format!("it holds a `{action}Result` with `{holder}`")));
    };
    let truncated = text(result, "IsTruncated") == "true";
    let next = truncated.then(|| text(result, "Marker").to_owned());
    Ok((list.children.clone(), next))
}

fn text<'a>(element: &'a Element, name: &str) -> &'a str {
    element.child(name).map_or("", |child| child.text.trim())
}

fn broken(action: &str, rule: &str) -> SourceError {
    SourceError::Broken { asked: action.to_owned(), rule: rule.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::{key, parse_xml, read_page, user};

    #[test]
    fn a_page_is_read_with_its_marker() {
        let xml = b"<ListUsersResponse xmlns=\"https://iam.amazonaws.com/doc/2010-05-08/\">\
            <ListUsersResult><Users><member><Path>/ops/</Path><UserName>A&amp;b</UserName>\
            <UserId>AIDA1</UserId><Arn>arn:aws:iam::111122223333:user/ops/A</Arn></member></Users>\
            <IsTruncated>true</IsTruncated><Marker>m</Marker></ListUsersResult></ListUsersResponse>";
        let (members, next) = read_page("ListUsers", "Users", &parse_xml(xml).unwrap()).unwrap();
        let found = user(&members[0], "x-").unwrap();
        assert_eq!((&*found.name, &*found.path, &*found.id), ("x-A&b", "/ops/", "AIDA1"));
        assert_eq!(found.account.as_deref(), Some("111122223333"));
        assert_eq!(next.as_deref(), Some("m"));
        for broken in
            [&b"<html/>"[..], b"<ListUsersResponse><ListUsersResult/></ListUsersResponse>"]
        {
            assert!(read_page("ListUsers", "Users", &parse_xml(broken).unwrap()).is_err());
        }
    }

    #[test]
    fn a_key_is_active_only_when_its_source_says_so() {
        let read = |status: &str| {
            let xml = format!("<member><AccessKeyId>AK</AccessKeyId>{status}</member>");
            key(&parse_xml(xml.as_bytes()).unwrap())
        };
        assert!(read("<Status>Active</Status>").unwrap().active);
        assert!(!read("<Status>Inactive</Status>").unwrap().active);
        for status in ["", "<Status/>", "<Status>Expired</Status>", "<Status>inactive</Status>"] {
            let error = read(status).unwrap_err().to_string();
            assert!(error.contains("`Active` or `Inactive`"), "{status}: {error}");
        }
    }
}
