//! Where lock files are: a path with gaps, in Asyncz's words.

use std::fmt::Write as _;
use std::path::PathBuf;
use std::str::FromStr;

use super::file::{parent, process_group};

/// A path with `{store}`, `{ppid}` and `{pgrp}` in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::scheduler) struct LockPath {
    written: String,
    pieces: Vec<Piece>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Piece {
    Text(String),
    Store,
    Parent(Digits),
    ProcessGroup(Digits),
}

/// How a number is written: Python's `#08x`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Digits {
    base: Base,
    is_prefixed: bool,
    has_zeros: bool,
    width: usize,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Base {
    #[default]
    Decimal,
    Binary,
    Octal,
    Hex,
    UpperHex,
}

impl LockPath {
    /// Whether each store has a file of its own.
    pub(in crate::scheduler) fn names_the_store(&self) -> bool {
        self.pieces.contains(&Piece::Store)
    }

    /// The path as it was written.
    pub(in crate::scheduler) fn written(&self) -> &str {
        &self.written
    }

    /// The lock file of a store.
    pub(super) fn of_store(&self, alias: &str) -> PathBuf {
        let mut path = String::new();
        for piece in &self.pieces {
            match piece {
                Piece::Text(text) => path.push_str(text),
                // It is a part of a file's name, and leads nowhere else.
                Piece::Store => path.push_str(&alias.replace(['/', '\0'], "_")),
                Piece::Parent(digits) => digits.write(parent(), &mut path),
                Piece::ProcessGroup(digits) => digits.write(process_group(), &mut path),
            }
        }
        path.into()
    }
}

impl FromStr for LockPath {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let mut pieces = Vec::new();
        let mut plain = String::new();
        let mut rest = text;
        while let Some(brace) = rest.find(['{', '}']) {
            let (before, after) = rest.split_at(brace);
            plain.push_str(before);
            let doubled = ["{{", "}}"].iter().find(|doubled| after.starts_with(**doubled));
            rest = match doubled {
                Some(doubled) => {
                    plain.push_str(&doubled[1..]);
                    &after[2..]
                }
                None => {
                    let (gap, after) = after
                        .strip_prefix('{')
                        .and_then(|after| after.split_once('}'))
                        .ok_or("a brace without the other: write `{{` or `}}` for one that stays")?;
                    if !plain.is_empty() {
                        pieces.push(Piece::Text(std::mem::take(&mut plain)));
                    }
                    pieces.push(gap.parse()?);
                    after
                }
            };
        }
        plain.push_str(rest);
        if !plain.is_empty() {
            pieces.push(Piece::Text(plain));
        }
        if pieces.is_empty() {
            return Err("write the path of a file, such as `/tmp/app_{store}.lock`".to_owned());
        }
        Ok(Self { written: text.to_owned(), pieces })
    }
}

impl FromStr for Piece {
    type Err = String;

    fn from_str(gap: &str) -> Result<Self, String> {
        let (name, format) = gap.split_once(':').unwrap_or((gap, ""));
        match name {
            "store" if format.is_empty() => Ok(Self::Store),
            "store" => Err(format!("`{{{gap}}}`: write `{{store}}`, it has no format")),
            "ppid" => Ok(Self::Parent(format.parse()?)),
            "pgrp" => Ok(Self::ProcessGroup(format.parse()?)),
            _ => Err(format!("there is no `{{{gap}}}`: write `{{store}}`, `{{ppid}}` or `{{pgrp}}`")),
        }
    }
}

impl FromStr for Digits {
    type Err = String;

    fn from_str(format: &str) -> Result<Self, String> {
        let wrong = || format!("number format `{format}`: write one such as `x`, `#x` or `08d`");
        let (is_prefixed, rest) = format.strip_prefix('#').map_or((false, format), |rest| (true, rest));
        let (digits, base) = match rest.char_indices().next_back() {
            Some((at, letter)) if letter.is_ascii_alphabetic() => (&rest[..at], letter),
            _ => (rest, 'd'),
        };
        let base = match base {
            'd' => Base::Decimal,
            'b' => Base::Binary,
            'o' => Base::Octal,
            'x' => Base::Hex,
            'X' => Base::UpperHex,
            _ => return Err(wrong()),
        };
        let width = if digits.is_empty() { 0 } else { digits.parse().map_err(|_| wrong())? };
        match width {
            0..=64 if !digits.starts_with('+') => {
                Ok(Self { base, is_prefixed, has_zeros: digits.starts_with('0'), width })
            }
            _ => Err(wrong()),
        }
    }
}

impl Digits {
    fn write(self, number: i64, path: &mut String) {
        let Self { width, .. } = self;
        let (prefix, digits) = match self.base {
            Base::Decimal => ("", number.to_string()),
            Base::Binary => ("0b", format!("{number:b}")),
            Base::Octal => ("0o", format!("{number:o}")),
            Base::Hex => ("0x", format!("{number:x}")),
            Base::UpperHex => ("0X", format!("{number:X}")),
        };
        let prefix = if self.is_prefixed { prefix } else { "" };
        // Writing to a text can't fail.
        _ = match self.has_zeros {
            true => write!(path, "{prefix}{digits:0>width$}", width = width.saturating_sub(prefix.len())),
            false => write!(path, "{:>width$}", format!("{prefix}{digits}")),
        };
    }
}
