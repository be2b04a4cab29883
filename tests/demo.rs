//! `tca demo` as a newcomer meets it: a real process, its pages over HTTP, and what is left when it ends.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking, its helpers too")]

use std::{
    collections::BTreeMap,
    path::Path,
    process::Stdio,
    time::{Duration, Instant},
};

use reqwest::{Client, Method, Response, StatusCode, header};
use tokio::{
    io::{AsyncBufReadExt as _, BufReader, Lines},
    process::{Child, ChildStdout, Command},
};
use url::Url;

/// How long anything may take before the test gives up.
const PATIENCE: Duration = Duration::from_mins(1);
const CSV_HEADER: &str = "twitch_user_id,login,display_name,created_at,seen_count,first_seen,last_seen";
const ROOM: &str = "lapinvert_live";

#[tokio::test]
async fn the_demo_opens_with_a_past_captures_a_chat_and_leaves_nothing_behind() {
    let folder = tempfile::tempdir().unwrap();
    let mut demo = Demo::start(folder.path()).await;
    let mut browser = Browser::new(demo.url.clone());
    browser.sign_in_as("mirabelle_mod").await;

    assert!(browser.page("/").await.contains("Active session"));
    assert!(browser.page("/channels").await.contains(ROOM));
    let analysis = browser.page("/analysis").await;
    assert!(analysis.contains("profiles read") && analysis.contains("Serial renamers"), "{analysis}");
    let renamer = between(&analysis, "href=\"/accounts/", "\"").expect("somebody who was renamed");
    let history = browser.page(&format!("/accounts/{renamer}")).await;
    assert!(history.contains("Seen in") && history.contains(" logins since"), "{history}");

    let sessions = browser.page("/sessions").await;
    assert!(sessions.contains("Raid evening with the bears"), "{sessions}");
    let saved = between(&sessions, "href=\"/analysis/saved/", "\"").unwrap();
    let saved = saved.split('?').next().unwrap();
    assert!(browser.page(&format!("/analysis/saved/{saved}")).await.contains("Busiest creation days"));
    let csv = browser.page(&format!("/sessions/export/{saved}?format=csv")).await;
    let mut lines = csv.lines();
    assert_eq!(lines.next(), Some(CSV_HEADER));
    assert!(lines.count() > 100);

    browser.capture(ROOM).await;
    let analysis = browser.page("/analysis").await;
    assert!(analysis.contains("7 captures"), "{analysis}");

    assert_eq!(demo.stop().await, Some(0));
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0, "something stays behind");
}

/// A running `tca demo`; killed when dropped.
struct Demo {
    process: Child,
    url: Url,
    /// Kept open, so that what the process prints has somewhere to go.
    lines: Lines<BufReader<ChildStdout>>,
}

impl Demo {
    /// Starts it with free ports, temporary files below `folder`, and settings that must not reach it.
    async fn start(folder: &Path) -> Self {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let mut command = Command::new(env!("CARGO_BIN_EXE_tca"));
        command.arg("demo").env_clear().env("TMPDIR", folder).kill_on_drop(true).stdout(Stdio::piped());
        command.env("DATABASE_URL", "mysql://nobody@127.0.0.1:1/real").env("REDIS_URL", "redis://127.0.0.1:1");
        for port in ["GATEWAY_PORT", "TWITCH_PROXY_PORT", "WORKER_PORT", "ANALYSIS_PORT", "TWITCH_SIM_PORT"] {
            command.env(port, "0");
        }
        let mut process = command.spawn().unwrap();
        let mut lines = BufReader::new(process.stdout.take().unwrap()).lines();
        let url = tokio::time::timeout(PATIENCE, async {
            while let Some(line) = lines.next_line().await.unwrap() {
                if let Some(url) = line.trim().strip_prefix("Open  ") {
                    return url.parse().unwrap();
                }
            }
            panic!("the demo ended without naming an address");
        });
        Self { url: url.await.expect("the demo names an address in time"), process, lines }
    }

    /// Asks it to stop; returns its exit code.
    async fn stop(&mut self) -> Option<i32> {
        let id = self.process.id().unwrap().to_string();
        assert!(Command::new("kill").args(["-TERM", &id]).status().await.unwrap().success());
        let ended = tokio::time::timeout(PATIENCE, async {
            while self.lines.next_line().await.unwrap().is_some() {}
            self.process.wait().await.unwrap()
        });
        ended.await.expect("the demo ends in time").code()
    }
}

/// Follows redirects and keeps cookies by hand.
struct Browser {
    client: Client,
    /// The address that the next link or form is relative to.
    at: Url,
    cookies: BTreeMap<String, String>,
}

impl Browser {
    fn new(at: Url) -> Self {
        let client = Client::builder().redirect(reqwest::redirect::Policy::none()).timeout(PATIENCE).no_proxy();
        Self { client: client.build().unwrap(), at, cookies: BTreeMap::new() }
    }

    async fn sign_in_as(&mut self, login: &str) {
        let home = self.at.clone();
        assert!(self.page("/").await.contains("Continue with Twitch"));
        let consent = self.page("/auth/login").await;
        assert!(consent.contains("Simulation"), "{consent}");
        let form = forms(&consent).find(|form| form.contains(login)).unwrap();
        let mut fields = hidden_fields(form);
        fields.push(("person".to_owned(), login.to_owned()));
        let (status, page) = self.go(Method::POST, "/oauth2/authorize", &fields).await;
        assert_eq!(status, StatusCode::OK, "{page}");
        assert_eq!(self.at.origin(), home.origin());
        assert!(page.contains(login), "{page}");
    }

    /// Presses the button of a channel, and waits until the capture shows up in the analysis.
    async fn capture(&mut self, channel: &str) {
        let page = self.page("/channels").await;
        let value = format!("value=\"{channel}\"");
        let form = forms(&page).find(|form| form.contains("/sessions/capture") && form.contains(&value)).unwrap();
        let (status, page) = self.go(Method::POST, "/sessions/capture", &hidden_fields(form)).await;
        assert_eq!(status, StatusCode::OK, "{page}");
        let deadline = Instant::now() + PATIENCE;
        while !self.page("/analysis").await.contains("7 captures") {
            assert!(Instant::now() < deadline, "the capture does not end");
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }

    async fn page(&mut self, path: &str) -> String {
        let (status, page) = self.go(Method::GET, path, &[]).await;
        assert_eq!(status, StatusCode::OK, "{path}: {page}");
        page
    }

    async fn go(&mut self, method: Method, path: &str, form: &[(String, String)]) -> (StatusCode, String) {
        let mut request = self.client.request(method.clone(), self.at.join(path).unwrap());
        if method == Method::POST {
            request = request.form(form).header(header::ORIGIN, self.at.origin().ascii_serialization());
        }
        let mut answer = self.send(request).await;
        while answer.status().is_redirection() {
            let to = answer.headers()[header::LOCATION].to_str().unwrap();
            self.at = self.at.join(to).unwrap();
            let request = self.client.get(self.at.clone());
            answer = self.send(request).await;
        }
        (answer.status(), answer.text().await.unwrap())
    }

    async fn send(&mut self, request: reqwest::RequestBuilder) -> Response {
        let cookies: Vec<String> = self.cookies.iter().map(|(name, value)| format!("{name}={value}")).collect();
        let answer = request.header(header::COOKIE, cookies.join("; ")).send().await.unwrap();
        for cookie in answer.headers().get_all(header::SET_COOKIE) {
            let (name, value) = cookie.to_str().unwrap().split(';').next().unwrap().split_once('=').unwrap();
            self.cookies.insert(name.to_owned(), value.to_owned());
        }
        answer
    }
}

fn forms(page: &str) -> impl Iterator<Item = &str> {
    page.split("<form").skip(1).map(|rest| rest.split("</form>").next().unwrap_or(rest))
}

fn hidden_fields(form: &str) -> Vec<(String, String)> {
    let inputs = form.split("<input").skip(1).map(|rest| rest.split('>').next().unwrap_or(rest));
    let hidden = inputs.filter(|input| input.contains("type=\"hidden\""));
    let attribute = |input: &str, name: &str| {
        let value = between(input, &format!(" {name}=\""), "\"").unwrap_or_default();
        value.replace("&#38;", "&").replace("&amp;", "&")
    };
    hidden.map(|input| (attribute(input, "name"), attribute(input, "value"))).collect()
}

fn between<'a>(text: &'a str, before: &str, after: &str) -> Option<&'a str> {
    text.split_once(before)?.1.split_once(after).map(|(inside, _)| inside)
}
