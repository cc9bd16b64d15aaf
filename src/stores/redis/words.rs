//! What a script is asked, as a list in MessagePack: one value to the server, however many words it has.

use std::io::Write;

/// A list of texts and numbers. Each begins with its kind; its length, where it has one, follows in four bytes.
#[derive(Debug)]
pub(super) struct Words {
    bytes: Vec<u8>,
    count: u32,
}

const LIST: u8 = 0xdd;
const TEXT: u8 = 0xdb;
const NUMBER: u8 = 0xce;

impl Words {
    pub(super) fn new() -> Self {
        Self { bytes: vec![LIST, 0, 0, 0, 0], count: 0 }
    }

    pub(super) fn text(&mut self, text: &str) -> &mut Self {
        self.count += 1;
        self.bytes.push(TEXT);
        self.bytes.extend_from_slice(&length(text.len()));
        self.bytes.extend_from_slice(text.as_bytes());
        self
    }

    pub(super) fn number(&mut self, number: usize) -> &mut Self {
        self.count += 1;
        self.bytes.push(NUMBER);
        self.bytes.extend_from_slice(&length(number));
        self
    }

    /// A text that is written here.
    pub(super) fn written(&mut self, text: std::fmt::Arguments<'_>) -> &mut Self {
        self.count += 1;
        self.bytes.push(TEXT);
        let at = self.bytes.len();
        self.bytes.extend_from_slice(&[0; 4]);
        // A vector takes all that is written.
        _ = self.bytes.write_fmt(text);
        let length = length(self.bytes.len() - at - 4);
        self.bytes[at..at + 4].copy_from_slice(&length);
        self
    }

    /// A list in the list: how many, and then each.
    pub(super) fn list<T: AsRef<str>>(&mut self, texts: &[T]) -> &mut Self {
        self.number(texts.len());
        for text in texts {
            self.text(text.as_ref());
        }
        self
    }

    pub(super) fn into_bytes(mut self) -> Vec<u8> {
        self.bytes[1..5].copy_from_slice(&self.count.to_be_bytes());
        self.bytes
    }
}

fn length(length: usize) -> [u8; 4] {
    u32::try_from(length).unwrap_or(u32::MAX).to_be_bytes()
}
