//! What is given to a statement: values by name, and one table of rows, so that a statement serves any number of tasks.

use std::borrow::Cow;

/// A value of a column or a parameter. All numbers of the schema have 64 bits, and all else is text.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Cell<'a> {
    Null,
    Int(i64),
    Text(Cow<'a, str>),
}

impl Cell<'_> {
    /// The number, where it is one.
    pub(super) fn number(&self) -> Option<i64> {
        match self {
            Self::Int(number) => Some(*number),
            Self::Null | Self::Text(_) => None,
        }
    }
}

/// What stands in a column.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Int,
    Text,
}

/// The columns of a batch, named `b_…` so that they are never mistaken for those of a table.
pub(super) type Columns = &'static [(&'static str, Kind)];

/// Rows that a statement knows as `{batch}`.
#[derive(Clone, Debug)]
pub(super) struct Batch<'a> {
    pub(super) columns: Columns,
    /// Row by row.
    pub(super) cells: Vec<Cell<'a>>,
}

impl<'a> Batch<'a> {
    pub(super) fn new(columns: Columns) -> Self {
        Self { columns, cells: Vec::new() }
    }

    /// A batch of one column.
    pub(super) fn of<T: Into<Cell<'a>>>(columns: Columns, values: impl IntoIterator<Item = T>) -> Self {
        Self { columns, cells: values.into_iter().map(Into::into).collect() }
    }

    pub(super) fn push<const N: usize>(&mut self, row: [Cell<'a>; N]) {
        debug_assert_eq!(N, self.columns.len(), "{:?}", self.columns);
        self.cells.extend(row);
    }

    pub(super) fn len(&self) -> usize {
        self.cells.len() / self.columns.len()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.cells.is_empty()
    }

    /// The batch in parts of at most so many rows.
    pub(super) fn parts(self, rows: usize) -> Vec<Self> {
        let (columns, most) = (self.columns, rows * self.columns.len());
        if self.cells.len() <= most {
            return vec![self];
        }
        let mut cells = self.cells.into_iter();
        let mut parts = Vec::new();
        while cells.len() > 0 {
            parts.push(Self { columns, cells: cells.by_ref().take(most).collect() });
        }
        parts
    }
}

impl From<i64> for Cell<'_> {
    fn from(number: i64) -> Self {
        Self::Int(number)
    }
}

impl From<Option<i64>> for Cell<'_> {
    fn from(number: Option<i64>) -> Self {
        number.map_or(Self::Null, Self::Int)
    }
}

impl From<u32> for Cell<'_> {
    fn from(number: u32) -> Self {
        Self::Int(number.into())
    }
}

impl From<bool> for Cell<'_> {
    fn from(answer: bool) -> Self {
        Self::Int(answer.into())
    }
}

impl<'a> From<&'a str> for Cell<'a> {
    fn from(text: &'a str) -> Self {
        Self::Text(Cow::Borrowed(text))
    }
}

impl From<String> for Cell<'_> {
    fn from(text: String) -> Self {
        Self::Text(Cow::Owned(text))
    }
}

impl From<Option<String>> for Cell<'_> {
    fn from(text: Option<String>) -> Self {
        text.map_or(Self::Null, Self::from)
    }
}

/// Values by the names that a statement gives them (`:node`).
pub(super) type Values<'a> = &'a [(&'static str, Cell<'a>)];
