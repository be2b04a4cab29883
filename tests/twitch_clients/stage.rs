//! A running simulator and clients whose calls to Twitch's hosts arrive there.
#![expect(clippy::unwrap_used, reason = "a test that cannot set its stage up has failed")]

use std::{collections::HashMap, net::TcpListener};

use bytes::Bytes;
use serde_json::Value;
use tca::simulator::{self, Options, World};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use twitch_api::{HelixClient, types::UserId};
use twitch_oauth2::{AccessToken, RefreshToken, UserToken};
use url::Url;

/// An HTTP client that sends what is meant for Twitch to the simulator.
#[derive(Clone)]
pub struct Detour {
    client: reqwest::Client,
    base: Url,
}

pub struct Stage {
    pub world: World,
    pub http: Detour,
    pub helix: HelixClient<'static, Detour>,
    stop: CancellationToken,
    running: JoinSet<anyhow::Result<()>>,
}

impl Stage {
    pub fn open() -> Self {
        // Somebody else in this process may have chosen the provider already.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let world = World::new(Options::default());
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let base = format!("http://{}", listener.local_addr().unwrap()).parse().unwrap();
        let stop = CancellationToken::new();
        let mut running = JoinSet::new();
        running.spawn(simulator::run(world.clone(), listener, stop.clone()));
        let no_redirects = reqwest::redirect::Policy::none();
        let client = reqwest::Client::builder().redirect(no_redirects).build().unwrap();
        let http = Detour { client, base };
        let helix = HelixClient::with_client(http.clone());
        Self { world, http, helix, stop, running }
    }

    pub async fn close(mut self) {
        self.stop.cancel();
        while let Some(ended) = self.running.join_next().await {
            ended.unwrap().unwrap();
        }
    }

    pub fn id_of(&self, login: &str) -> UserId {
        self.world.person(login).unwrap().id.to_string().into()
    }

    pub async fn sign_in(&self, login: &str, scopes: &[&str]) -> UserToken {
        let tokens = self.world.grant(login, scopes).unwrap();
        let refresh = tokens.refresh_token.map(RefreshToken::new);
        UserToken::from_existing(&self.http, AccessToken::new(tokens.access_token), refresh, None).await.unwrap()
    }

    /// The two headers of a Helix call.
    pub fn bearer(&self, login: &str, scopes: &[&str]) -> [(String, String); 2] {
        let token = self.world.grant(login, scopes).unwrap().access_token;
        [("authorization".to_owned(), format!("Bearer {token}")), ("client-id".to_owned(), "demo".to_owned())]
    }

    pub async fn get(&self, target: &str, headers: &[(String, String)]) -> reqwest::Response {
        let request = self.http.client.get(self.http.base.join(target).unwrap());
        let request = headers.iter().fold(request, |request, (name, value)| request.header(name, value));
        request.send().await.unwrap()
    }

    pub async fn post_form(&self, path: &str, form: &[(String, String)]) -> reqwest::Response {
        self.http.client.post(self.http.base.join(path).unwrap()).form(form).send().await.unwrap()
    }

    pub async fn post_from(&self, path: &str, headers: &[(String, String)]) -> reqwest::Response {
        let request = self.http.client.post(self.http.base.join(path).unwrap());
        let request = headers.iter().fold(request, |request, (name, value)| request.header(name, value));
        request.send().await.unwrap()
    }

    /// An order to the control page, as JSON.
    pub async fn order(&self, order: &str, fields: Value) -> (u16, Value) {
        let url = self.http.base.join(&format!("/control/{order}")).unwrap();
        self.answer(self.http.client.post(url).json(&fields).send().await.unwrap()).await
    }

    pub async fn answer(&self, response: reqwest::Response) -> (u16, Value) {
        (response.status().as_u16(), response.json().await.unwrap())
    }
}

pub fn location(response: &reqwest::Response) -> Url {
    response.headers()["location"].to_str().unwrap().parse().unwrap()
}

pub fn pairs(url: &Url) -> HashMap<String, String> {
    url.query_pairs().into_owned().collect()
}

impl Detour {
    async fn send<B: Into<reqwest::Body>>(self, request: http::Request<B>) -> reqwest::Result<http::Response<Bytes>> {
        let mut request = reqwest::Request::try_from(request)?;
        let host = request.url().host_str().unwrap_or_default();
        assert!(matches!(host, "api.twitch.tv" | "id.twitch.tv"), "{host}");
        let mut url = self.base;
        url.set_path(request.url().path());
        url.set_query(request.url().query());
        *request.url_mut() = url;
        let response = self.client.execute(request).await?;
        let mut answer = http::Response::builder().status(response.status());
        answer.headers_mut().unwrap().extend(response.headers().clone());
        Ok(answer.body(response.bytes().await?).unwrap())
    }
}

impl twitch_api::HttpClient for Detour {
    type Error = reqwest::Error;

    fn req(
        &self,
        request: http::Request<Bytes>,
    ) -> impl Future<Output = Result<http::Response<Bytes>, Self::Error>> + Send + use<> {
        self.clone().send(request)
    }
}

impl twitch_oauth2::client::Client for Detour {
    type Error = reqwest::Error;

    fn req(
        &self,
        request: http::Request<Vec<u8>>,
    ) -> impl Future<Output = Result<http::Response<Vec<u8>>, Self::Error>> + Send + use<> {
        let sent = self.clone().send(request);
        async { Ok(sent.await?.map(|body| body.to_vec())) }
    }
}
