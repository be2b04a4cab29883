//! A browser without script: cookies, redirects and forms, each by hand, so that a test sees every step.

use std::{collections::BTreeMap, sync::Mutex};

use reqwest::{Method, header::HeaderMap};
use url::Url;

/// Redirects followed before a loop is assumed.
const MOST_HOPS: usize = 10;

/// One person's browser.
pub struct Browser {
    http: reqwest::Client,
    /// Where the gateway really listens.
    base: Url,
    /// What the gateway calls itself; the same unless a proxy is pretended in front of it.
    public: Url,
    cookies: Mutex<BTreeMap<String, BTreeMap<String, String>>>,
    language: &'static str,
}

/// An answer, read to its end.
#[derive(Clone, Debug)]
pub struct Page {
    pub status: u16,
    pub headers: HeaderMap,
    pub body: String,
    pub url: Url,
}

/// A form as it stands on a page.
#[derive(Clone, Debug)]
pub struct Form {
    pub action: String,
    pub fields: Vec<(String, String)>,
}

impl Browser {
    pub fn new(base: Url, public: Url) -> Self {
        let http = reqwest::Client::builder()
            .redirect(reqwest::redirect::Policy::none())
            // No idle connection keeps a server from ending.
            .pool_max_idle_per_host(0)
            .no_proxy()
            .build()
            .unwrap();
        Self { http, base, public, cookies: Mutex::default(), language: "en" }
    }

    /// The same browser for a reader of another language.
    #[must_use]
    pub fn speaking(mut self, language: &'static str) -> Self {
        self.language = language;
        self
    }

    /// One request and its answer, without following a redirect. `form` makes the body.
    pub async fn send(
        &self,
        method: Method,
        address: &str,
        headers: &[(&str, &str)],
        form: Option<&[(&str, &str)]>,
    ) -> Page {
        let mut url = self.public.join(address).unwrap();
        if url.origin() == self.public.origin() {
            let path = url[url::Position::BeforePath..].to_owned();
            url = self.base.join(&path).unwrap();
        }
        let mut request = self.http.request(method, url.clone()).header("accept-language", self.language);
        if let Some(cookies) = self.cookie_header(&url) {
            request = request.header("cookie", cookies);
        }
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        if let Some(form) = form {
            request = request.form(form);
        }
        let answer = request.send().await.unwrap_or_else(|error| panic!("{url} does not answer: {error:?}"));
        let (status, headers) = (answer.status().as_u16(), answer.headers().clone());
        self.keep_cookies(&url, &headers);
        let body = answer.bytes().await.unwrap_or_else(|error| panic!("{url} breaks off: {error:?}"));
        Page { status, headers, body: String::from_utf8_lossy(&body).into_owned(), url }
    }

    /// One GET, redirects not followed.
    pub async fn hop(&self, address: &str) -> Page {
        self.send(Method::GET, address, &[], None).await
    }

    /// A GET, redirects followed.
    pub async fn get(&self, address: &str) -> Page {
        self.follow(self.hop(address).await).await
    }

    /// One POST as the browser sends it from a page of the same site, redirects not followed.
    pub async fn post(&self, address: &str, fields: &[(&str, &str)]) -> Page {
        self.send(Method::POST, address, &[("sec-fetch-site", "same-origin")], Some(fields)).await
    }

    /// Submits the form of `page` that posts to `action`, redirects followed.
    pub async fn submit(&self, page: &Page, action: &str, extra: &[(&str, &str)]) -> Page {
        self.follow(self.submit_form(&page.form(action), extra).await).await
    }

    /// Submits a form, redirects not followed.
    pub async fn submit_form(&self, form: &Form, extra: &[(&str, &str)]) -> Page {
        let mut fields: Vec<(&str, &str)> = form.fields.iter().map(|(n, v)| (n.as_str(), v.as_str())).collect();
        fields.retain(|(name, _)| extra.iter().all(|(other, _)| other != name));
        fields.extend(extra);
        self.post(&form.action, &fields).await
    }

    /// Goes where a redirect leads, until a page is reached.
    pub async fn follow(&self, mut page: Page) -> Page {
        for _ in 0..MOST_HOPS {
            if !(300..400).contains(&page.status) {
                return page;
            }
            page = self.hop(&page.location()).await;
        }
        panic!("redirected in circles, at last to {}", page.url);
    }

    /// Signs in through the consent page and comes back.
    pub async fn sign_in_as(&self, login: &str) -> Page {
        let back = self.consent("/auth/login", login).await;
        let page = self.follow(back).await;
        assert_eq!(page.status, 200, "{}", page.body);
        page
    }

    /// Goes to the consent page and agrees; returns Twitch's redirect, which is not followed yet.
    pub async fn consent(&self, login_url: &str, login: &str) -> Page {
        let page = self.get(login_url).await;
        assert!(page.url.path().ends_with("/oauth2/authorize"), "no consent page but {}: {}", page.url, page.body);
        let form = page.form("/oauth2/authorize");
        let action = page.url.join(&form.action).unwrap().to_string();
        let back = self.submit_form(&Form { action, ..form }, &[("person", login)]).await;
        assert_eq!(back.status, 302, "{}", back.body);
        back
    }

    /// The value of a cookie of the product.
    pub fn cookie(&self, name: &str) -> Option<String> {
        self.cookies.lock().unwrap().get(self.base.authority())?.get(name).cloned()
    }

    /// Puts a cookie of the product into the browser.
    pub fn set_cookie(&self, name: &str, value: &str) {
        let mut cookies = self.cookies.lock().unwrap();
        cookies.entry(self.base.authority().to_owned()).or_default().insert(name.to_owned(), value.to_owned());
    }

    fn cookie_header(&self, url: &Url) -> Option<String> {
        let cookies = self.cookies.lock().unwrap();
        let of_site = cookies.get(url.authority()).filter(|of_site| !of_site.is_empty())?;
        Some(of_site.iter().map(|(name, value)| format!("{name}={value}")).collect::<Vec<_>>().join("; "))
    }

    fn keep_cookies(&self, url: &Url, headers: &HeaderMap) {
        let mut cookies = self.cookies.lock().unwrap();
        let of_site = cookies.entry(url.authority().to_owned()).or_default();
        for header in headers.get_all("set-cookie") {
            let text = header.to_str().unwrap();
            let (name, value) = text.split(';').next().unwrap().split_once('=').unwrap();
            if text.split(';').any(|attribute| attribute.trim().eq_ignore_ascii_case("max-age=0")) {
                of_site.remove(name);
            } else {
                of_site.insert(name.to_owned(), value.to_owned());
            }
        }
    }
}

impl Page {
    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }

    /// Where a redirect leads.
    pub fn location(&self) -> String {
        let location = self.header("location");
        assert!(!location.is_empty(), "{} at {} leads nowhere: {}", self.status, self.url, self.body);
        // Within the site as the site calls itself; elsewhere as a whole address.
        self.url.join(location).map_or_else(
            |_| location.to_owned(),
            |to| if location.starts_with('/') { location.to_owned() } else { to.into() },
        )
    }

    pub fn has(&self, text: &str) -> bool {
        unescape(&self.body).contains(text)
    }

    /// Fails with the page when `text` does not stand on it.
    #[track_caller]
    pub fn shows(&self, text: &str) -> &Self {
        assert!(self.has(text), "{text:?} does not stand on {} ({}):\n{}", self.url, self.status, self.body);
        self
    }

    #[track_caller]
    pub fn hides(&self, text: &str) -> &Self {
        assert!(!self.has(text), "{text:?} stands on {}:\n{}", self.url, self.body);
        self
    }

    /// Every form of the page, hidden fields included.
    pub fn forms(&self) -> Vec<Form> {
        let bodies = self.body.split("<form").skip(1).map(|rest| rest.split("</form>").next().unwrap_or(rest));
        let form = |body: &str| Form {
            action: attribute(body, "action").unwrap_or_default(),
            fields: body
                .split("<input")
                .skip(1)
                .filter_map(|input| Some((attribute(input, "name")?, attribute(input, "value").unwrap_or_default())))
                .collect(),
        };
        bodies.map(form).collect()
    }

    /// The first form that posts to `action`.
    #[track_caller]
    pub fn form(&self, action: &str) -> Form {
        self.form_with(action, &[])
    }

    /// The first form that posts to `action` and carries these fields.
    #[track_caller]
    pub fn form_with(&self, action: &str, wanted: &[(&str, &str)]) -> Form {
        let fits = |form: &Form| form.action == action && wanted.iter().all(|(n, v)| form.field(n) == Some(*v));
        let found = self.forms().into_iter().find(fits);
        found.unwrap_or_else(|| {
            panic!("no form to {action} with {wanted:?} on {} ({}):\n{}", self.url, self.status, self.body)
        })
    }
}

impl Form {
    pub fn field(&self, name: &str) -> Option<&str> {
        self.fields.iter().find(|(field, _)| field == name).map(|(_, value)| value.as_str())
    }
}

/// The value of an attribute in the tag that `text` begins with.
fn attribute(text: &str, name: &str) -> Option<String> {
    let tag = text.split('>').next()?;
    let value = tag.split(&format!(" {name}=\"")).nth(1)?.split('"').next()?;
    Some(unescape(value))
}

fn unescape(text: &str) -> String {
    let entities = [
        ("&#34;", "\""),
        ("&#38;", "&"),
        ("&#39;", "'"),
        ("&#60;", "<"),
        ("&#62;", ">"),
        ("&quot;", "\""),
        ("&amp;", "&"),
    ];
    entities.into_iter().fold(text.to_owned(), |text, (entity, character)| text.replace(entity, character))
}
