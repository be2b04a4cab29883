//! What the product is for, from the sign-in to the exports, in one process and in four.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;
use tca::{
    roles::Role,
    simulator::{Person, Route, World, cast},
};

use crate::support::{
    app::{TestApp, Topology},
    browser::Browser,
};

const HEADER: &str = "twitch_user_id,login,display_name,created_at,seen_count,first_seen,last_seen";
const RABBIT: &str = "lapinvert_live";
const OURS: &str = "tanguy_et_les_ours";

on_each_backend! {
    async fn a_moderator_captures_two_channels_and_takes_the_lists_away(backend: Backend) {
        do_the_main_job(&TestApp::start(backend, Topology::AllInOne).await).await;
    }

    async fn four_processes_do_the_same_job(backend: Backend) {
        do_the_main_job(&TestApp::start(backend, Topology::Split).await).await;
    }

    async fn a_moderator_of_more_than_a_hundred_channels_finds_all_of_them(backend: Backend) {
        let app = TestApp::start(backend, Topology::AllInOne).await;
        let browser = app.signed_in(cast::BUSY_MODERATOR).await;
        let mut found = BTreeSet::new();
        for number in 1..=3 {
            let page = browser.get(&format!("/channels?page={number}")).await;
            for form in page.forms().iter().filter(|form| form.action == "/sessions/capture") {
                let id = form.field("broadcaster_id").unwrap().parse::<i64>().unwrap();
                let login = form.field("broadcaster_login").unwrap();
                assert_eq!(app.id(login), id);
                assert!(found.insert(login.to_owned()), "{login} stands on two pages");
            }
        }
        assert_eq!(found.len(), 131, "130 small channels and her own");
        let last = found.iter().next_back().unwrap();
        app.complete_capture(&browser, last).await;
    }

    async fn an_account_is_fetched_once_however_many_sessions_see_it(backend: Backend) {
        let app = TestApp::start(backend, Topology::AllInOne).await;
        app.world.set_room_size(RABBIT, 950).unwrap();
        let (hero, rabbit) = (app.signed_in(cast::HERO).await, app.signed_in(RABBIT).await);
        app.complete_capture(&hero, RABBIT).await;
        app.wait_until_enriched().await;
        app.world.set_room_size(RABBIT, 1_000).unwrap();
        let (before, chatters) = (app.calls(Route::Users).len(), app.calls(Route::Chatters).len());
        let capture = app.complete_capture(&rabbit, RABBIT).await;
        app.wait_until_enriched().await;
        assert_eq!(app.calls(Route::Chatters).len() - chatters, 1);
        assert_eq!(app.calls(Route::Users).len() - before, 1, "50 of the 1,000 were new");
        let counts = format!("SELECT new_users_count FROM captures WHERE id = {capture}");
        assert_eq!(app.texts(&format!("SELECT CAST(x.new_users_count AS CHAR) FROM ({counts}) x")).await, ["1000"]);
        let summary = summary(&app, RABBIT).await;
        assert_eq!((&summary["total_accounts"], &summary["unread_accounts"]), (&1_000.into(), &0.into()));
    }
}

async fn summary(app: &TestApp, login: &str) -> Value {
    let uuid = app.active_uuid(login).await;
    let (status, _, summary) = app.internal(Role::Analysis, &format!("sessions/{uuid}/summary")).await;
    assert_eq!(status, 200, "{summary}");
    summary
}

/// Who is in a chat that nobody enters or leaves.
fn people(world: &World, channel: &str) -> BTreeMap<String, Person> {
    let there = world.chatters_at(channel, world.now()).unwrap();
    there.into_iter().map(|person| (person.id.to_string(), person)).collect()
}

async fn do_the_main_job(app: &TestApp) {
    app.world.set_room_size(RABBIT, 1_234).unwrap();
    app.world.set_room_size(OURS, 56).unwrap();
    let (rabbit, bears) = (people(&app.world, RABBIT), people(&app.world, OURS));
    let browser = app.signed_in(cast::HERO).await;
    browser.get("/analysis").await.shows("Nothing captured yet");
    app.complete_capture(&browser, RABBIT).await;
    app.wait_until_enriched().await;

    let page = browser.get("/analysis").await;
    page.shows("1,234 accounts").shows(RABBIT).shows("<dt>profiles read<small>of 1,234</small></dt><dd>1,234</dd>");
    app.complete_capture(&browser, RABBIT).await;
    app.complete_capture(&browser, OURS).await;
    app.wait_until_enriched().await;

    let all: BTreeMap<_, _> = rabbit.clone().into_iter().chain(bears.clone()).collect();
    check_exports(&browser, &all, &rabbit, &bears).await;
    check_filters(app, &browser, &rabbit, &bears, all.len()).await;
    check_summary(app, &browser, &all).await;
}

async fn check_exports(
    browser: &Browser,
    all: &BTreeMap<String, Person>,
    rabbit: &BTreeMap<String, Person>,
    bears: &BTreeMap<String, Person>,
) {
    let csv = browser.get("/analysis/export?format=csv").await;
    assert!(csv.header("content-disposition").starts_with("attachment"), "{:?}", csv.headers);
    assert_eq!(csv.body.lines().next(), Some(HEADER));
    let mut reader = csv::Reader::from_reader(csv.body.as_bytes());
    let rows: Vec<csv::StringRecord> = reader.records().map(Result::unwrap).collect();
    let ids: BTreeSet<String> = rows.iter().map(|row| row[0].to_owned()).collect();
    assert_eq!((rows.len(), ids), (all.len(), all.keys().cloned().collect()));
    for row in &rows {
        let person = &all[&row[0]];
        let seen = 2 * i32::from(rabbit.contains_key(&row[0])) + i32::from(bears.contains_key(&row[0]));
        assert_eq!((&row[1], &row[2]), (person.name.login.as_str(), person.name.display_name.as_str()));
        assert_eq!(row[3].parse::<chrono::DateTime<chrono::Utc>>().unwrap(), person.created_at);
        assert_eq!(row[4], seen.to_string());
        assert!(row[5].ends_with('Z') && row[5] <= row[6], "{row:?}");
    }
    let order: Vec<(i32, &str)> = rows.iter().map(|row| (-row[4].parse::<i32>().unwrap(), &row[1])).collect();
    assert!(order.is_sorted(), "by seen_count descending, then login");

    let json: Value = serde_json::from_str(&browser.get("/analysis/export?format=json").await.body).unwrap();
    let accounts = json["accounts"].as_array().unwrap();
    assert!(json["session_uuid"].is_string() && json["exported_at"].as_str().unwrap().ends_with('Z'), "{json}");
    let ndjson = browser.get("/analysis/export?format=ndjson").await.body;
    let lines: Vec<Value> = ndjson.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(&lines, accounts);
    for (account, row) in accounts.iter().zip(&rows) {
        for (column, field) in HEADER.split(',').zip(row) {
            let text = account[column].as_str().map_or_else(|| account[column].to_string(), str::to_owned);
            assert_eq!(text, field, "{column} of {account}");
        }
    }
    let logins = browser.get("/analysis/export?format=logins").await.body;
    assert!(logins.lines().eq(rows.iter().map(|row| &row[1])));
    assert_eq!(browser.get("/analysis/export?format=xml").await.status, 400);
}

async fn check_filters(
    app: &TestApp,
    browser: &Browser,
    rabbit: &BTreeMap<String, Person>,
    bears: &BTreeMap<String, Person>,
    all: usize,
) {
    let (rabbit_id, bears_id, other) = (app.id(RABBIT), app.id(OURS), app.id("atelier_zinc"));
    let ids = async |query: String| -> Vec<String> {
        let body = browser.get(&format!("/analysis/export?format=ndjson{query}")).await.body;
        let row = |line: &str| serde_json::from_str::<Value>(line).unwrap();
        body.lines().map(|line| row(line)["twitch_user_id"].as_str().unwrap().to_owned()).collect()
    };
    let only_bears: BTreeSet<String> = ids(format!("&broadcaster_id={bears_id}")).await.into_iter().collect();
    assert_eq!(only_bears, bears.keys().cloned().collect());
    assert_eq!(ids(format!("&broadcaster_id={rabbit_id}&broadcaster_id={bears_id}")).await.len(), all);
    assert_eq!(ids(format!("&broadcaster_id={other}")).await.len(), 0);
    let page = browser.get(&format!("/analysis?broadcaster_id={rabbit_id}")).await;
    page.shows(&format!("{} accounts", thousands(rabbit.len())));
    assert_eq!(browser.get("/analysis?broadcaster_id=x").await.status, 400);
}

fn thousands(number: usize) -> String {
    if number < 1_000 { number.to_string() } else { format!("{},{:03}", number / 1_000, number % 1_000) }
}

async fn check_summary(app: &TestApp, browser: &Browser, all: &BTreeMap<String, Person>) {
    let uuid = app.active_uuid(cast::HERO).await;
    let path = format!("sessions/{uuid}/summary");
    let bare = crate::support::app::http().get(app.url(Role::Analysis).join(&path).unwrap()).send().await.unwrap();
    assert_eq!(bare.status(), 401);
    assert_eq!(bare.headers()["content-type"], "application/problem+json");
    // Pages of this session were shown: a filter that none of them used is computed now.
    let channels = format!("{path}?broadcaster_id={},{},7", app.id(RABBIT), app.id(OURS));
    let (status, headers, first) = app.internal(Role::Analysis, &channels).await;
    assert_eq!((status, &headers["x-cache"]), (200, &"MISS".parse().unwrap()));
    let (_, headers, again) = app.internal(Role::Analysis, &channels).await;
    assert_eq!((&headers["x-cache"], &again), (&"HIT".parse().unwrap(), &first));

    let mut days: BTreeMap<String, Vec<&str>> = BTreeMap::new();
    for person in all.values() {
        days.entry(person.created_at.date_naive().to_string()).or_default().push(&person.name.login);
    }
    let mut ranked: Vec<(usize, &String)> = days.iter().map(|(day, logins)| (logins.len(), day)).collect();
    ranked.sort_unstable_by(|a, b| b.cmp(a));
    let expected: Vec<Value> = ranked
        .iter()
        .take(10)
        .map(|(count, day)| {
            let mut logins = days[*day].clone();
            logins.sort_unstable();
            serde_json::json!({ "date": day, "count": count, "logins": logins })
        })
        .collect();
    let (status, _, summary) = app.internal(Role::Analysis, &path.replace('-', "")).await;
    assert_eq!(status, 200, "the name of a session works without dashes");
    assert_eq!(summary["session_uuid"], uuid);
    assert_eq!(summary["total_accounts"], all.len());
    assert_eq!(summary["top_days"], Value::Array(expected));
    assert_eq!(summary["suspicious_renames_count"], 0);
    assert!(summary["generated_at"].as_str().unwrap().ends_with('Z'));
    let channel = |login: &str| {
        let listed = summary["broadcasters"].as_array().unwrap().iter();
        listed.clone().find(|channel| channel["broadcaster_login"] == login).unwrap().clone()
    };
    assert_eq!(channel(RABBIT)["capture_count"], 2);
    assert_eq!(channel(OURS)["broadcaster_id"], app.id(OURS).to_string());

    app.complete_capture(browser, OURS).await;
    let (_, headers, fresh) = app.internal(Role::Analysis, &path).await;
    assert_eq!(headers["x-cache"], "MISS", "a new capture is seen at once");
    let bears = fresh["broadcasters"].as_array().unwrap().iter().find(|c| c["broadcaster_login"] == OURS).unwrap();
    assert_eq!(bears["capture_count"], 2);
    let (status, _, _) = app.internal(Role::Analysis, "sessions/6f2a0000-0000-4000-8000-000000000000/summary").await;
    assert_eq!(status, 404);
}
