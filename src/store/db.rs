//! The tables, inside a transaction.

use std::cell::{Cell, RefCell};
use std::fmt::Arguments;

use rusqlite::{Connection, Params};

use super::StoreError;
use super::cells::Cells;
use crate::log::{self, Level};

/// A transaction of [`super::Store`]; the tables' calls are methods of it, each table in a file of its own.
pub struct Db<'a> {
    connection: &'a Connection,
    writing: bool,
    changed: Cell<bool>,
    notes: RefCell<Vec<String>>,
}

impl<'a> Db<'a> {
    pub(super) fn new(connection: &'a Connection, writing: bool) -> Self {
        Self { connection, writing, changed: Cell::new(false), notes: RefCell::default() }
    }

    /// The transaction is on disk: says so in the log, and answers whether a statement of it changed a row.
    pub(super) fn committed(&self) -> bool {
        for note in self.notes.take() {
            log::write(Level::Info, module_path!(), format_args!("{note}"));
        }
        self.changed.get()
    }

    /// A line of the log, for when the transaction is committed.
    pub(super) fn note(&self, text: Arguments<'_>) {
        if log::enabled(Level::Info) {
            self.notes.borrow_mut().push(text.to_string());
        }
    }

    /// Runs a statement that changes something; answers how many rows it changed.
    pub(super) fn run(&self, sql: &str, params: impl Params) -> Result<usize, StoreError> {
        if !self.writing {
            return Err(StoreError::NotWriting);
        }
        let rows = self.connection.prepare_cached(sql)?.execute(params)?;
        if rows > 0 {
            self.changed.set(true);
        }
        Ok(rows)
    }

    /// The number of the row inserted last.
    pub(super) fn last_row(&self) -> i64 {
        self.connection.last_insert_rowid()
    }

    /// The first row of an answer.
    pub(super) fn one<T>(
        &self,
        sql: &str,
        params: impl Params,
        read: impl FnOnce(&Cells<'_>) -> Result<T, StoreError>,
    ) -> Result<Option<T>, StoreError> {
        let mut statement = self.connection.prepare_cached(sql)?;
        let mut rows = statement.query(params)?;
        rows.next()?.map(|row| read(&Cells(row))).transpose()
    }

    /// All rows of an answer.
    pub(super) fn all<T>(
        &self,
        sql: &str,
        params: impl Params,
        read: impl Fn(&Cells<'_>) -> Result<T, StoreError>,
    ) -> Result<Vec<T>, StoreError> {
        let mut statement = self.connection.prepare_cached(sql)?;
        let mut rows = statement.query(params)?;
        let mut answer = Vec::new();
        while let Some(row) = rows.next()? {
            answer.push(read(&Cells(row))?);
        }
        Ok(answer)
    }
}
