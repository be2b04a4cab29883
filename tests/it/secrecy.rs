//! Tokens and secrets stand nowhere in clear: not in the database, not in the logs, not on a page.

use sea_orm::{ConnectionTrait, Database};
use secrecy::ExposeSecret;
use tca::simulator::{Fault, Route, cast};

use crate::support::{
    Backend,
    app::{SESSION_SECRET, TestApp, Topology, logs_in},
};

const RABBIT: &str = "lapinvert_live";

/// Everything that the database holds, as text.
async fn dump(app: &TestApp) -> String {
    if app.backend == Backend::Sqlite {
        let url = app.database_url().expose_secret();
        let file = url.strip_prefix("sqlite://").unwrap().split('?').next().unwrap();
        let with = |ending: &str| std::fs::read(format!("{file}{ending}")).unwrap_or_default();
        return String::from_utf8_lossy(&[with(""), with("-wal")].concat()).into_owned();
    }
    let connection = Database::connect(app.database_url().expose_secret()).await.unwrap();
    let mut text = String::new();
    let columns = "SELECT CONCAT('SELECT CAST(`', column_name, '` AS CHAR) FROM `', table_name, '`') \
                   FROM information_schema.columns WHERE table_schema = DATABASE()";
    for query in app.texts(columns).await {
        text.push_str(&app.texts(&query).await.join("\n"));
        text.push('\n');
    }
    connection.execute_unprepared("SELECT 1").await.unwrap();
    connection.close().await.unwrap();
    text
}

on_each_backend! {
    async fn no_secret_is_stored_or_logged_in_clear(backend: Backend) {
        let app = TestApp::plan(backend).topology(Topology::Split).set("LOG_LEVEL", "debug").start().await;
        app.world.set_room_size(RABBIT, 120).unwrap();
        let browser = app.signed_in(cast::HERO).await;
        let mut secrets = app.world.secrets();
        app.fault(Route::Chatters, Fault::InvalidJson, 1);
        app.complete_capture(&browser, RABBIT).await;
        app.wait_until_enriched().await;
        app.world.expire_tokens(Some(cast::HERO)).unwrap();
        app.complete_capture(&browser, RABBIT).await;
        // A sign-in that fails, with a code of its own.
        app.fault(Route::Token, Fault::Status(400), 1);
        let failed = app.browser();
        let back = failed.consent("/auth/login", cast::HERO).await.location();
        failed.hop(&back).await;
        let back = reqwest::Url::parse(&back).unwrap();
        let code = back.query_pairs().find(|(name, _)| name == "code").unwrap().1.into_owned();
        secrets.extend(app.world.secrets());
        assert!(secrets.len() >= 6, "an application's token, two of a user and what replaced them");
        secrets.push(browser.cookie("tca_session").unwrap());
        secrets.push(browser.get("/settings").await.form("/auth/logout").field("csrf").unwrap().to_owned());
        secrets.extend([code, TestApp::internal_token(), SESSION_SECRET.to_owned(), "demo-secret".to_owned()]);
        if backend == Backend::MariaDb {
            let url = reqwest::Url::parse(app.database_url().expose_secret()).unwrap();
            secrets.push(url.password().unwrap().to_owned());
        }
        let (stored, logged) = (dump(&app).await, logs_in(app.folder.path()));
        assert!(stored.contains(RABBIT) && logged.contains("FETCH_CHATTERS in"), "the right places are looked at");
        for secret in secrets {
            assert!(!stored.contains(&secret), "{}… stands in the database", &secret[..6]);
            assert!(!logged.contains(&secret), "{}… stands in a log", &secret[..6]);
        }
        assert!(!logged.contains("panicked") && !logged.contains("stack backtrace"), "{logged}");
    }
}
