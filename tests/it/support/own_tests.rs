//! That the ground the other tests stand on holds.

use bytes::Bytes;
use sea_orm::{ConnectionTrait, Database};
use secrecy::ExposeSecret;
use tca::store::Area;

use super::{LONG_ENOUGH, eventually};

on_each_backend! {
    async fn every_test_has_a_database_of_its_own(backend: Backend) {
        for _ in 0..2 {
            let database = backend.database().await;
            let connection = Database::connect(database.url.expose_secret()).await.unwrap();
            connection.execute_unprepared("CREATE TABLE only_here (id INTEGER PRIMARY KEY)").await.unwrap();
            connection.close().await.unwrap();
        }
    }

    async fn every_test_has_a_store_of_its_own(backend: Backend) {
        let stores = [backend.store(), backend.store()];
        for store in &stores {
            eventually("the store answers", async || store.ping().await.is_ok()).await;
            let first = store.set_if_absent(Area::Cache, "key", Bytes::new(), LONG_ENOUGH).await.unwrap();
            assert!(first);
        }
    }
}
