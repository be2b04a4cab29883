//! How the gateway asks the analysis: in this process, or over HTTP where another one runs that role.

use std::{sync::Arc, time::Duration};

use reqwest::StatusCode;
use sea_orm::DbErr;
use url::Url;

use super::{Analysis, Filter, Summary};
use crate::{secrets::InternalToken, wire};

/// Why there is no answer.
#[derive(Debug, Clone, thiserror::Error)]
pub enum AnalysisError {
    /// There is no such session.
    #[error("no such session")]
    NotFound,
    /// The analysis, or the database behind it, does not answer; captures and exports are not affected.
    #[error("the analysis does not answer: {0}")]
    Unavailable(String),
}

/// The analysis, wherever it runs.
#[derive(Clone, Debug)]
pub enum AnalysisClient {
    /// In this process.
    Local(Analysis),
    /// In another one.
    Remote(RemoteAnalysis),
}

impl AnalysisClient {
    /// The summary of a session within the filter. The caller has checked whose session it is.
    pub async fn summary(&self, session_uuid: &str, filter: &Filter) -> Result<Summary, AnalysisError> {
        let json = match self {
            Self::Local(analysis) => {
                let unavailable = |error: Arc<DbErr>| AnalysisError::Unavailable(error.to_string());
                let answer = analysis.summary(session_uuid, filter).await.map_err(unavailable)?;
                answer.ok_or(AnalysisError::NotFound)?.json
            }
            Self::Remote(remote) => remote.summary(session_uuid, filter).await?,
        };
        serde_json::from_slice(&json).map_err(|error| AnalysisError::Unavailable(error.to_string()))
    }
}

/// The analysis role over HTTP.
#[derive(Clone, Debug)]
pub struct RemoteAnalysis {
    http: reqwest::Client,
    base: Url,
    token: Arc<InternalToken>,
}

impl RemoteAnalysis {
    pub fn new(base: Url, token: Arc<InternalToken>) -> Result<Self, reqwest::Error> {
        let http = reqwest::Client::builder()
            .connect_timeout(Duration::from_secs(2))
            .timeout(Duration::from_secs(20))
            .redirect(reqwest::redirect::Policy::none())
            .no_proxy()
            .build()?;
        Ok(Self { http, base, token })
    }

    async fn summary(&self, session_uuid: &str, filter: &Filter) -> Result<bytes::Bytes, AnalysisError> {
        let unavailable = |error: reqwest::Error| AnalysisError::Unavailable(error.without_url().to_string());
        let mut url = self.base.clone();
        let path = format!("{}/sessions/{session_uuid}/summary", self.base.path().trim_end_matches('/'));
        url.set_path(&path);
        if !filter.channels().is_empty() {
            let channels: Vec<String> = filter.channels().iter().map(ToString::to_string).collect();
            url.query_pairs_mut().append_pair("broadcaster_id", &channels.join(","));
        }
        let request = self.http.get(url).header(wire::INTERNAL_TOKEN_HEADER, self.token.expose());
        let answer = request.send().await.map_err(unavailable)?;
        match answer.status() {
            StatusCode::OK => answer.bytes().await.map_err(unavailable),
            StatusCode::NOT_FOUND => Err(AnalysisError::NotFound),
            status => Err(AnalysisError::Unavailable(format!("it answered {status}"))),
        }
    }
}
