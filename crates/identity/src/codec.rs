//! How moments and secrets stand in our own JSON.

/// [`Micros`](trailbox_clock::Micros) as a number.
pub(crate) mod micros {
    use serde::{Deserialize, Deserializer, Serialize, Serializer};
    use trailbox_clock::Micros;

    #[allow(clippy::trivially_copy_pass_by_ref, reason = "serde's signature")]
    pub(crate) fn serialize<S: Serializer>(at: &Micros, to: S) -> Result<S::Ok, S::Error> {
        at.0.serialize(to)
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Micros, D::Error> {
        i64::deserialize(from).map(Micros)
    }
}

/// An optional moment.
pub(crate) mod maybe_micros {
    use serde::{Deserialize, Deserializer, Serialize, Serializer};
    use trailbox_clock::Micros;

    #[allow(clippy::ref_option, reason = "serde's signature")]
    pub(crate) fn serialize<S: Serializer>(at: &Option<Micros>, to: S) -> Result<S::Ok, S::Error> {
        at.map(|at| at.0).serialize(to)
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(
        from: D,
    ) -> Result<Option<Micros>, D::Error> {
        Ok(Option::<i64>::deserialize(from)?.map(Micros))
    }
}

/// A secret in clear: only for bytes that the caller seals.
pub(crate) mod exposed {
    use serde::{Deserialize, Deserializer, Serialize, Serializer};
    use trailbox_sigv4::SecretText;

    pub(crate) fn serialize<S: Serializer>(secret: &SecretText, to: S) -> Result<S::Ok, S::Error> {
        secret.expose().serialize(to)
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<SecretText, D::Error> {
        String::deserialize(from).map(SecretText::new)
    }
}

/// A secret that may be absent, in clear: only for bytes that the caller seals.
pub(crate) mod maybe_exposed {
    use serde::{Deserialize, Deserializer, Serialize, Serializer};
    use trailbox_sigv4::SecretText;

    #[allow(clippy::ref_option, reason = "serde's signature")]
    pub(crate) fn serialize<S: Serializer>(
        secret: &Option<SecretText>,
        to: S,
    ) -> Result<S::Ok, S::Error> {
        secret.as_ref().map(SecretText::expose).serialize(to)
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(
        from: D,
    ) -> Result<Option<SecretText>, D::Error> {
        Ok(Option::<String>::deserialize(from)?.map(SecretText::new))
    }
}

/// A hash as hexadecimal digits.
pub(crate) mod maybe_hash {
    use serde::de::Error as _;
    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    #[allow(clippy::ref_option, reason = "serde's signature")]
    pub(crate) fn serialize<S: Serializer>(
        hash: &Option<[u8; 32]>,
        to: S,
    ) -> Result<S::Ok, S::Error> {
        hash.map(hex::encode).serialize(to)
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(
        from: D,
    ) -> Result<Option<[u8; 32]>, D::Error> {
        let Some(text) = Option::<String>::deserialize(from)? else { return Ok(None) };
        let mut hash = [0; 32];
        hex::decode_to_slice(text, &mut hash).map_err(D::Error::custom)?;
        Ok(Some(hash))
    }
}
