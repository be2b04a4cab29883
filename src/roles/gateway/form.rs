//! A form that was posted by one of our own pages.
//!
//! Two independent checks: the browser's own word on where the request comes from (`Sec-Fetch-Site`, else `Origin`), and a token
//! bound to the web session, for browsers that say neither.

use std::collections::HashMap;

use actix_web::{
    FromRequest, HttpRequest,
    dev::Payload,
    http::header,
    web::{Bytes, Data},
};
use futures_util::future::LocalBoxFuture;

use super::{
    Gateway,
    error::Failure,
    visitor::{Member, Visitor, csrf_fits},
};

/// The fields of a checked form and who sent it.
#[derive(Clone, Debug)]
pub struct Posted {
    pub visitor: Visitor,
    fields: HashMap<String, String>,
}

impl Posted {
    /// A field, where it is there and not empty.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.fields.get(name).map(String::as_str).filter(|value| !value.is_empty())
    }

    /// A field that the form always carries.
    pub fn require(&self, name: &str) -> Result<&str, Failure> {
        self.get(name).ok_or(Failure::BadRequest(
            "The form lacks a field; open the page again and repeat.",
            "Il manque un champ au formulaire ; rouvrez la page et recommencez.",
        ))
    }

    /// The sender, who must be signed in.
    pub fn member(&self) -> Result<Member, Failure> {
        Member::of(self.visitor.clone()).map_err(|failure| match failure {
            // A form is not repeated after the sign-in: the browser comes back to a page.
            Failure::NotSignedIn { .. } => Failure::NotSignedIn { return_to: "/channels".to_owned() },
            other => other,
        })
    }
}

impl FromRequest for Posted {
    type Error = Failure;
    type Future = LocalBoxFuture<'static, Result<Self, Failure>>;

    fn from_request(request: &HttpRequest, payload: &mut Payload) -> Self::Future {
        let body = Bytes::from_request(request, payload);
        let request = request.clone();
        Box::pin(async move {
            let visitor = Visitor::extract(&request).await?;
            let unreadable = || Failure::BadRequest("The form could not be read.", "Le formulaire n’a pas pu être lu.");
            let body = body.await.map_err(|_unread| unreadable())?;
            let fields: HashMap<String, String> = url::form_urlencoded::parse(&body).into_owned().collect();
            let gateway = request.app_data::<Data<Gateway>>().ok_or_else(unreadable)?;
            let token = fields.get("csrf").map(String::as_str).unwrap_or_default();
            let id = visitor.user.as_ref().map(|(_, id)| id);
            if !comes_from_here(&request) {
                return Err(Failure::StaleForm);
            }
            if !csrf_fits(gateway, id, token) {
                // Signed out meanwhile: signing in helps, another try of the form does not.
                let signed_out = id.is_none() && !csrf_fits(gateway, None, token) && request.path() != "/preferences";
                let return_to = "/channels".to_owned();
                return Err(if signed_out { Failure::NotSignedIn { return_to } } else { Failure::StaleForm });
            }
            Ok(Self { visitor, fields })
        })
    }
}

/// What the browser says about the origin of the request; true where it says nothing, as the token decides then.
fn comes_from_here(request: &HttpRequest) -> bool {
    let text = |name: &str| request.headers().get(name).map(|value| value.to_str().unwrap_or("?"));
    if let Some(site) = text("sec-fetch-site") {
        return matches!(site, "same-origin" | "none");
    }
    let Some(origin) = text(header::ORIGIN.as_str()) else { return true };
    let host = text(header::HOST.as_str()).unwrap_or_default();
    origin.split_once("://").is_some_and(|(_, origin_host)| origin_host == host)
}
