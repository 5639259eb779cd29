//! Text that must not be seen: wiped on drop, absent from `Debug`.

use zeroize::Zeroizing;

/// A secret key or a session token.
///
/// `Debug` shows neither text nor length, and there is no `Display` and no
/// `Serialize`: whoever wants the text calls [`SecretText::expose`].
#[derive(Clone, PartialEq, Eq, Default)]
pub struct SecretText(Zeroizing<String>);

impl SecretText {
    /// Takes `text` out of sight.
    #[must_use]
    pub fn new(text: impl Into<String>) -> Self {
        Self(Zeroizing::new(text.into()))
    }

    /// The text itself.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl std::fmt::Debug for SecretText {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("SecretText(..)")
    }
}

impl From<String> for SecretText {
    fn from(text: String) -> Self {
        Self::new(text)
    }
}

impl From<&str> for SecretText {
    fn from(text: &str) -> Self {
        Self::new(text)
    }
}

#[cfg(test)]
mod tests {
    use super::SecretText;

    #[test]
    fn a_secret_shows_neither_text_nor_length() {
        assert_eq!(format!("{:?}", SecretText::new("abc")), "SecretText(..)");
        assert_eq!(SecretText::from("abc").expose(), "abc");
    }
}
