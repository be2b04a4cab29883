//! What every answer tells the browser: what may run, what may be kept, who may be told.

use actix_web::{
    Error,
    body::MessageBody,
    dev::{ServiceRequest, ServiceResponse},
    http::header::{HeaderName, HeaderValue},
    middleware::Next,
    web::Data,
};

use super::Gateway;

/// Middleware: security headers; pages are not kept by caches, assets say for themselves.
pub async fn add<B: MessageBody>(request: ServiceRequest, next: Next<B>) -> Result<ServiceResponse<B>, Error> {
    let gateway = request.app_data::<Data<Gateway>>().cloned();
    let is_asset = request.path().starts_with("/static/");
    let mut answer = next.call(request).await?;
    let headers = answer.headers_mut();
    let mut set = |name: &'static str, value: &str| {
        if let Ok(value) = HeaderValue::from_str(value) {
            headers.insert(HeaderName::from_static(name), value);
        }
    };
    set("x-content-type-options", "nosniff");
    set("referrer-policy", "same-origin");
    set("cross-origin-opener-policy", "same-origin");
    set("permissions-policy", "camera=(), geolocation=(), microphone=()");
    if let Some(gateway) = &gateway {
        set("content-security-policy", &policy(gateway));
        if gateway.settings.public_url.scheme() == "https" {
            set("strict-transport-security", "max-age=31536000; includeSubDomains");
        }
    }
    if !is_asset {
        set("cache-control", "no-store");
    }
    Ok(answer)
}

/// No inline style or script, nothing from elsewhere. Browsers apply `form-action` to redirects too, hence Twitch's host.
fn policy(gateway: &Gateway) -> String {
    let twitch = gateway.settings.twitch.auth_url.origin().ascii_serialization();
    format!(
        "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self'; connect-src 'self'; \
         form-action 'self' {twitch}; base-uri 'none'; frame-ancestors 'none'"
    )
}
