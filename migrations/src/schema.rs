//! Columns and tables that mean the same on both engines.

use sea_orm_migration::{
    prelude::*,
    sea_orm::{ConnectionTrait, DbBackend},
};

/// A 64-bit identifier or reference.
pub fn id(name: &'static str) -> ColumnDef {
    ColumnDef::new(name).big_integer().not_null().take()
}

/// The row's own number, given by the database.
pub fn own_id() -> ColumnDef {
    ColumnDef::new("id").big_integer().not_null().auto_increment().primary_key().take()
}

/// A count or another whole number, 0 unless set.
pub fn count(name: &'static str) -> ColumnDef {
    ColumnDef::new(name).integer().not_null().default(0).take()
}

/// A short text of at most `length` characters.
pub fn text(name: &'static str, length: u32) -> ColumnDef {
    ColumnDef::new(name).string_len(length).not_null().take()
}

/// Makes a column optional.
pub fn maybe(mut column: ColumnDef) -> ColumnDef {
    column.null().take()
}

/// A table under construction: one statement on MariaDB, a table and its indexes on SQLite.
pub struct NewTable<'m, 'c> {
    manager: &'m SchemaManager<'c>,
    name: &'static str,
    table: TableCreateStatement,
    indexes: Vec<IndexCreateStatement>,
}

impl<'m, 'c> NewTable<'m, 'c> {
    pub fn new(manager: &'m SchemaManager<'c>, name: &'static str) -> Self {
        let mut table = Table::create();
        table.table(name).if_not_exists();
        if manager.get_database_backend() == DbBackend::MySql {
            // A binary collation: logins compare and sort by code point, as SQLite does.
            table.engine("InnoDB").character_set("utf8mb4").collate("utf8mb4_bin");
        }
        Self { manager, name, table, indexes: Vec::new() }
    }

    pub fn column(mut self, mut column: ColumnDef) -> Self {
        self.table.col(&mut column);
        self
    }

    /// An instant in UTC with microseconds, which MariaDB keeps only when asked to.
    pub fn instant(self, name: &'static str) -> Self {
        let column = self.instant_column(name).not_null().take();
        self.column(column)
    }

    /// An instant that may be unknown.
    pub fn maybe_instant(self, name: &'static str) -> Self {
        let column = self.instant_column(name).null().take();
        self.column(column)
    }

    fn instant_column(&self, name: &'static str) -> ColumnDef {
        let mut column = ColumnDef::new(name);
        if self.manager.get_database_backend() == DbBackend::MySql {
            column.custom("datetime(6)");
        } else {
            column.date_time();
        }
        column
    }

    pub fn primary_key(mut self, columns: &[&'static str]) -> Self {
        let mut key = Index::create();
        for column in columns {
            key.col(*column);
        }
        self.table.primary_key(&mut key);
        self
    }

    pub fn index(self, name: &'static str, columns: &[&'static str]) -> Self {
        self.add_index(name, columns, false)
    }

    pub fn unique(self, name: &'static str, columns: &[&'static str]) -> Self {
        self.add_index(name, columns, true)
    }

    fn add_index(mut self, name: &'static str, columns: &[&'static str], unique: bool) -> Self {
        let mut index = Index::create();
        index.name(name).table(self.name);
        for column in columns {
            index.col(*column);
        }
        if unique {
            index.unique();
        }
        self.indexes.push(index);
        self
    }

    pub async fn create(mut self) -> Result<(), DbErr> {
        if self.manager.get_database_backend() == DbBackend::MySql {
            for index in &mut self.indexes {
                self.table.index(index);
            }
            return self.manager.create_table(self.table).await;
        }
        self.manager.create_table(self.table).await?;
        for mut index in self.indexes {
            self.manager.get_connection().execute(index.if_not_exists()).await?;
        }
        Ok(())
    }
}

/// Drops tables that may or may not be there.
pub async fn drop_tables(manager: &SchemaManager<'_>, names: &[&'static str]) -> Result<(), DbErr> {
    for name in names {
        manager.drop_table(Table::drop().table(*name).if_exists().take()).await?;
    }
    Ok(())
}
