//! The tables, inside a transaction.

use std::cell::Cell;

use rusqlite::{Connection, Params};

use super::StoreError;
use super::cells::Cells;

/// A transaction of [`super::Store`]; the tables' calls are methods of it, each table in a file of its own.
pub struct Db<'a> {
    connection: &'a Connection,
    writing: bool,
    changed: Cell<bool>,
}

impl<'a> Db<'a> {
    pub(super) fn new(connection: &'a Connection, writing: bool) -> Self {
        Self { connection, writing, changed: Cell::new(false) }
    }

    /// Whether a statement of this transaction changed a row.
    pub(super) fn changed(&self) -> bool {
        self.changed.get()
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
