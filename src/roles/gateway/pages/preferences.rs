//! `/settings` and `/preferences`: language, colours, the connection to Twitch.

use actix_web::{HttpRequest, HttpResponse, web::Data};

use crate::{
    i18n::Lang,
    login::{self, attempt::is_own_path},
    roles::gateway::{
        Gateway, cookies,
        error::Failure,
        form::Posted,
        view::{Settings, Theme},
        visitor::{Member, html, see_other},
    },
};

pub async fn show(member: Member, gateway: Data<Gateway>) -> Result<HttpResponse, Failure> {
    let connection = login::connection(&gateway.db, member.user.user_id).await?;
    html(&Settings {
        page: member.page(),
        login: member.user.login.clone(),
        scopes: connection.as_ref().map(|connection| connection.scopes.clone()).unwrap_or_default(),
        validated_at: connection.map(|connection| connection.validated_at),
    })
}

pub async fn change(request: HttpRequest, posted: Posted, gateway: Data<Gateway>) -> Result<HttpResponse, Failure> {
    let (mut lang, mut theme) = cookies::preferences(&request);
    lang = posted.get("lang").and_then(Lang::parse).or(lang);
    theme = posted.get("theme").and_then(Theme::parse).unwrap_or(theme);
    let back = posted.get("back").filter(|path| is_own_path(path)).unwrap_or("/");
    let mut answer = see_other(back, None);
    answer
        .add_cookie(&cookies::for_preferences(&gateway, lang, theme))
        .map_err(|error| Failure::Internal(error.to_string()))?;
    Ok(answer)
}
