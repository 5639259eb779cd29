//! Secrets that the configuration names by place: a file, or a variable of the
//! environment. They are read once, at start.

use crate::config::Config;
use anyhow::Context as _;
use std::path::Path;
use trailbox_gateway::config::GatewayConfig;
use trailbox_sigv4::SecretText;

/// Reads the secret of `what` from the one place that is named.
///
/// # Errors
///
/// With `what` and the place, when it cannot be read or holds nothing.
pub(super) fn read(
    what: &str,
    file: Option<&Path>,
    variable: Option<&str>,
) -> anyhow::Result<SecretText> {
    let (text, place) = match (file, variable) {
        (Some(file), _) => {
            let place = file.display();
            let text = std::fs::read_to_string(file)
                .with_context(|| format!("{what}: cannot read `secret_file` {place}"))?;
            (SecretText::from(text), place.to_string())
        }
        (None, Some(name)) => (of_variable(what, "secret_env", name)?, name.to_owned()),
        (None, None) => anyhow::bail!("{what} has no secret"),
    };
    let trimmed = text.expose().trim();
    anyhow::ensure!(!trimmed.is_empty(), "{what}: the secret in {place} is empty");
    Ok(SecretText::new(trimmed))
}

fn of_variable(what: &str, key: &str, name: &str) -> anyhow::Result<SecretText> {
    let text = std::env::var(name).with_context(|| format!("{what}: `{key}` {name} is not set"))?;
    Ok(text.into())
}

/// Fills in the secrets of upstreams whose calls are signed anew.
///
/// # Errors
///
/// With the upstream and the place of the first that cannot be read.
pub(super) fn fill(config: &mut GatewayConfig) -> anyhow::Result<()> {
    let named = config.upstreams.iter_mut().map(|(name, upstream)| (name.as_str(), upstream));
    for (name, upstream) in named.chain(config.default_upstream.iter_mut().map(|u| ("default", u)))
    {
        let Some(resign) = &mut upstream.resign else { continue };
        let what = format!("`resign` of upstream `{name}`");
        resign.secret = read(&what, resign.secret_file.as_deref(), resign.secret_env.as_deref())?;
        if let Some(variable) = &resign.session_token_env {
            let token = of_variable(&what, "session_token_env", variable)?;
            anyhow::ensure!(
                !token.expose().trim().is_empty(),
                "{what}: the session token in {variable} is empty"
            );
            resign.session_token = Some(SecretText::new(token.expose().trim()));
        }
    }
    Ok(())
}

/// The variables of the environment in which the configuration's secrets are.
pub(super) fn variables(config: &Config) -> Vec<String> {
    let gateway = config.gateway();
    let upstreams = gateway.upstreams.values().chain(&gateway.default_upstream);
    let resigns = upstreams.filter_map(|upstream| upstream.resign.as_ref());
    let resigns = resigns.flat_map(|resign| [&resign.secret_env, &resign.session_token_env]);
    let principals = config.principal.iter().map(|entry| &entry.secret_env);
    let syncs = config.principal_sync.iter().map(|entry| &entry.secret_env);
    resigns.chain(principals).chain(syncs).flatten().cloned().collect()
}

#[cfg(test)]
mod tests {
    use super::{fill, variables};
    use crate::config::Config;
    use trailbox_gateway::config::GatewayConfig;

    fn config(place: &str) -> GatewayConfig {
        let resign = format!("{{ access_key_id = 'AK', {place} }}");
        let text = format!("upstreams.s3 = {{ url = 'http://h', resign = {resign} }}");
        toml::from_str(&text).unwrap()
    }

    #[test]
    fn a_secret_comes_from_its_file_without_white_space() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("secret");
        std::fs::write(&file, " top/secret\n").unwrap();
        let mut config = config(&format!("secret_file = '{}'", file.display()));
        fill(&mut config).unwrap();
        let resign = config.upstreams["s3"].resign.clone().unwrap();
        assert_eq!(resign.secret.expose(), "top/secret");
        assert!(!format!("{config:?}").contains("top/secret"));
    }

    #[test]
    fn a_secret_that_is_nowhere_is_named_with_its_upstream() {
        for (place, want) in [
            ("secret_file = '/nowhere/secret'", "/nowhere/secret"),
            ("secret_file = '/dev/null'", "is empty"),
            ("secret_env = 'TRAILBOX_NO_SUCH_SECRET'", "TRAILBOX_NO_SUCH_SECRET is not set"),
        ] {
            let err = format!("{:#}", fill(&mut config(place)).unwrap_err());
            assert!(err.contains("upstream `s3`") && err.contains(want), "{err}");
        }
    }

    #[test]
    fn every_variable_with_a_secret_is_known() {
        let config: Config = toml::from_str(
            "[upstream.s3]\nurl = 'http://h'\n\
             resign = { access_key_id = 'AK', secret_env = 'A', session_token_env = 'B' }\n\
             [upstream.default]\nurl = 'http://d'\n\
             resign = { access_key_id = 'AK', secret_env = 'C' }\n\
             [[principal]]\nname = 'p'\naccess_key_id = 'AK'\nsecret_env = 'D'\n\
             [[principal_sync]]\nkind = 'iam'\nendpoint = 'http://i'\n\
             access_key_id = 'AK'\nsecret_env = 'E'\n",
        )
        .unwrap();
        assert_eq!(variables(&config), ["A", "B", "C", "D", "E"]);
    }
}
