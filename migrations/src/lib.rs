//! The schema of tca, one file per change, in order.

pub use sea_orm_migration::prelude::*;
