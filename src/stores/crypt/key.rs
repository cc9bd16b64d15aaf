//! One key. Without the feature `encryption` there can be none.

#[cfg(feature = "encryption")]
pub(super) use with_feature::Key;
#[cfg(not(feature = "encryption"))]
pub(super) use without_feature::Key;

#[cfg(feature = "encryption")]
mod with_feature {
    use base64::Engine;
    use base64::engine::general_purpose::STANDARD;
    use chacha20poly1305::aead::{Aead, Generate, Payload};
    use chacha20poly1305::{KeyInit, XChaCha20Poly1305, XNonce};
    use sha2::{Digest, Sha256};

    use crate::stores::StoreError;

    /// A cipher: XChaCha20-Poly1305, whose nonces are long enough to be chosen at random for each text.
    pub(in crate::stores::crypt) struct Key {
        id: String,
        cipher: XChaCha20Poly1305,
    }

    /// Before the text in a box stands what it takes to open it.
    const NONCE: usize = 24;

    impl Key {
        /// The key that a text stands for. Its id tells nothing of it.
        pub(in crate::stores::crypt) fn new(text: &str) -> Result<Self, StoreError> {
            let digest = |purpose: &str| Sha256::digest(format!("asyncz {purpose}\0{text}"));
            let id = digest("key id").iter().take(4).map(|byte| format!("{byte:02x}")).collect();
            Ok(Self { id, cipher: XChaCha20Poly1305::new(&digest("encryption key")) })
        }

        pub(in crate::stores::crypt) fn id(&self) -> &str {
            &self.id
        }

        /// A text in a box of its own, as base64 of nonce, text and tag; `of`: whose it is.
        pub(in crate::stores::crypt) fn close(&self, of: &str, text: &str) -> Result<String, StoreError> {
            let nonce = XNonce::try_generate()
                .map_err(|error| StoreError::new("the system has no random numbers").with_source(error))?;
            let payload = Payload { msg: text.as_bytes(), aad: of.as_bytes() };
            let sealed = self.cipher.encrypt(&nonce, payload);
            let sealed = sealed.map_err(|_| StoreError::new("a text is too long to be encrypted"))?;
            Ok(STANDARD.encode([nonce.as_slice(), &sealed].concat()))
        }

        /// The text in a box; `None`: it is another's box, of another key, or was changed.
        pub(in crate::stores::crypt) fn open(&self, of: &str, sealed: &str) -> Option<String> {
            let sealed = STANDARD.decode(sealed).ok()?;
            let (nonce, sealed) = sealed.split_at_checked(NONCE)?;
            let payload = Payload { msg: sealed, aad: of.as_bytes() };
            let text = self.cipher.decrypt(&XNonce::try_from(nonce).ok()?, payload).ok()?;
            String::from_utf8(text).ok()
        }
    }
}

#[cfg(not(feature = "encryption"))]
mod without_feature {
    use crate::stores::StoreError;

    /// There is none.
    pub(in crate::stores::crypt) enum Key {}

    impl Key {
        pub(in crate::stores::crypt) fn new(_: &str) -> Result<Self, StoreError> {
            Err(StoreError::new(
                "encryption needs the cargo feature \"encryption\" of asyncz, which is not turned on",
            ))
        }

        pub(in crate::stores::crypt) fn id(&self) -> &str {
            match *self {}
        }

        pub(in crate::stores::crypt) fn close(&self, _: &str, _: &str) -> Result<String, StoreError> {
            match *self {}
        }

        pub(in crate::stores::crypt) fn open(&self, _: &str, _: &str) -> Option<String> {
            match *self {}
        }
    }
}
