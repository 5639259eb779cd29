//! Names for calls of Trailbox's own API, which no service model describes.

use crate::upstream::ADMIN_SERVICE;
use trailbox_exchange::RequestHead;
use trailbox_service_facts::Route;

/// `eventSource` of Trailbox's own API.
const EVENT_SOURCE: &str = "trailbox";

/// `(method, path below /api/v1, eventName, readOnly)`; `*` is one segment.
const NAMES: [(&str, &str, &str, bool); 11] = [
    ("POST", "count", "CountRecords", true),
    ("POST", "keys", "AddAccessKey", false),
    ("DELETE", "keys/*", "RemoveAccessKey", false),
    ("PATCH", "keys/*", "UpdateAccessKey", false),
    ("POST", "lookup", "LookupRecords", true),
    ("DELETE", "principals", "RemovePrincipal", false),
    ("GET", "principals", "ListPrincipals", true),
    ("POST", "principals", "AddPrincipal", false),
    ("POST", "principals/import", "ImportPrincipals", false),
    ("POST", "principals/sync", "SyncPrincipals", false),
    ("GET", "stats", "GetStatistics", true),
];

/// Names a call of our own API; leaves every other route as it is.
pub(super) fn name(route: &mut Route, head: &RequestHead) {
    if route.scope_service.as_deref() != Some(ADMIN_SERVICE) {
        return;
    }
    EVENT_SOURCE.clone_into(&mut route.event_source);
    let Some(path) = head.path().strip_prefix("/api/v1/") else {
        return;
    };
    let known =
        NAMES.iter().find(|(method, pattern, ..)| *method == head.method && is_path(path, pattern));
    if let Some((_, _, name, _)) = known {
        (*name).clone_into(&mut route.event_name);
    }
}

/// Whether a call of our own API only reads; `None` for everybody else's.
pub(super) fn read_only(route: &Route) -> Option<bool> {
    if route.event_source != EVENT_SOURCE {
        return None;
    }
    NAMES.iter().find(|(_, _, name, _)| *name == route.event_name).map(|row| row.3)
}

fn is_path(path: &str, pattern: &str) -> bool {
    let mut segments = path.split('/');
    let fits = pattern.split('/').all(|want| {
        segments
            .next()
            .is_some_and(|segment| want == segment || (want == "*" && !segment.is_empty()))
    });
    fits && segments.next().is_none()
}

#[cfg(test)]
mod tests {
    use super::is_path;

    #[test]
    fn a_star_is_one_segment() {
        let cases = [
            ("keys/AKIA", "keys/*", true),
            ("keys/", "keys/*", false),
            ("keys/a/b", "keys/*", false),
            ("keys", "keys", true),
            ("keys/a", "keys", false),
        ];
        for (path, pattern, want) in cases {
            assert_eq!(is_path(path, pattern), want, "{path} {pattern}");
        }
    }
}
