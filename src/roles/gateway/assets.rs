//! The stylesheet, the script and the icons, compiled into the program.
//!
//! Their addresses carry a hash of the content, so browsers keep them for ever and still see every change at once. The pages
//! ask [`url`]; the route `/static/{name}` answers with [`serve`].

use std::{borrow::Cow, collections::BTreeMap, fmt::Write as _, sync::LazyLock};

use actix_web::{
    HttpRequest, HttpResponse,
    http::header::{CACHE_CONTROL, CONTENT_TYPE, ETAG, IF_NONE_MATCH, X_CONTENT_TYPE_OPTIONS},
};
use rust_embed::RustEmbed;

#[derive(RustEmbed)]
#[folder = "static/"]
struct Files;

/// One file of `static/`.
#[derive(Clone, Debug)]
pub struct Asset {
    /// Its content.
    pub bytes: Cow<'static, [u8]>,
    /// Its media type, with the character set.
    pub mime: &'static str,
    /// The first 16 hexadecimal digits of the content's SHA-256.
    pub hash: String,
}

static ASSETS: LazyLock<BTreeMap<String, Asset>> = LazyLock::new(|| {
    Files::iter()
        .filter_map(|name| {
            let file = Files::get(&name)?;
            let mut hash = String::with_capacity(16);
            for byte in &file.metadata.sha256_hash()[..8] {
                let _ = write!(hash, "{byte:02x}");
            }
            let asset = Asset {
                bytes: file.data,
                mime: mime_of(&name),
                hash,
            };
            Some((name.into_owned(), asset))
        })
        .collect()
});

fn mime_of(name: &str) -> &'static str {
    match name.rsplit_once('.').map(|(_, extension)| extension) {
        Some("css") => "text/css; charset=utf-8",
        Some("js") => "text/javascript; charset=utf-8",
        Some("svg") => "image/svg+xml; charset=utf-8",
        _ => "application/octet-stream",
    }
}

/// The file of that name, such as `style.css`.
pub fn find(name: &str) -> Option<&'static Asset> {
    ASSETS.get(name)
}

/// The address of a file, with its hash: `/static/style.css?v=1f3a…`.
pub fn url(name: &str) -> String {
    match find(name) {
        Some(asset) => format!("/static/{name}?v={}", asset.hash),
        None => format!("/static/{name}"),
    }
}

/// Answers `GET /static/{name}`; `None` when there is no such file.
///
/// With the right hash in the query the answer may be kept for a year, otherwise it must be asked for again each time.
pub fn serve(name: &str, request: &HttpRequest) -> Option<HttpResponse> {
    let asset = find(name)?;
    let etag = format!("\"{}\"", asset.hash);
    let is_pinned = request.query_string().strip_prefix("v=") == Some(asset.hash.as_str());
    let caching = if is_pinned {
        "public, max-age=31536000, immutable"
    } else {
        "public, no-cache"
    };
    let known = request
        .headers()
        .get(IF_NONE_MATCH)
        .and_then(|value| value.to_str().ok());
    let is_known = known.is_some_and(|tags| tags.split(',').any(|tag| tag.trim().trim_start_matches("W/") == etag));

    let mut answer = if is_known {
        HttpResponse::NotModified()
    } else {
        HttpResponse::Ok()
    };
    answer
        .insert_header((ETAG, etag))
        .insert_header((CACHE_CONTROL, caching));
    if is_known {
        return Some(answer.finish());
    }
    answer
        .insert_header((CONTENT_TYPE, asset.mime))
        .insert_header((X_CONTENT_TYPE_OPTIONS, "nosniff"));
    Some(match &asset.bytes {
        Cow::Borrowed(bytes) => answer.body(*bytes),
        Cow::Owned(bytes) => answer.body(bytes.clone()),
    })
}

#[cfg(test)]
mod tests {
    use actix_web::test::TestRequest;

    use super::*;

    fn caching(answer: &HttpResponse) -> &str {
        answer.headers().get(CACHE_CONTROL).unwrap().to_str().unwrap()
    }

    #[test]
    fn addresses_carry_the_hash_and_are_kept_for_a_year() {
        let address = url("style.css");
        let asset = find("style.css").unwrap();
        assert_eq!(address, format!("/static/style.css?v={}", asset.hash));

        let answer = serve("style.css", &TestRequest::with_uri(&address).to_http_request()).unwrap();
        assert_eq!(answer.status(), 200);
        assert_eq!(caching(&answer), "public, max-age=31536000, immutable");

        let again = TestRequest::with_uri(&address).insert_header((IF_NONE_MATCH, format!("\"{}\"", asset.hash)));
        assert_eq!(serve("style.css", &again.to_http_request()).unwrap().status(), 304);

        let old = TestRequest::with_uri("/static/style.css?v=0123").to_http_request();
        assert_eq!(caching(&serve("style.css", &old).unwrap()), "public, no-cache");
    }

    #[test]
    fn unknown_files_are_nobody() {
        let request = TestRequest::default().to_http_request();
        assert!(serve("../Cargo.toml", &request).is_none());
        assert!(serve("nothing.css", &request).is_none());
    }

    #[test]
    fn the_stylesheet_and_the_script_stay_small() {
        assert!(find("style.css").unwrap().bytes.len() <= 24_000);
        assert!(find("app.js").unwrap().bytes.len() <= 3_000);
    }
}
