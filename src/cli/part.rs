//! A failure of one of several parts, as it is told in an answer.

use super::client_error::ClientError;
use super::failure::did_you_mean;
use crate::model::ErrorCode;
use serde::Serialize;

/// Why a part was refused.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct PartError {
    /// Kafka's name of the code, or our own word where no broker answered.
    pub code: &'static str,
    pub message: String,
}

impl PartError {
    pub fn of(error: &ClientError) -> Self {
        let code = error.code().map_or("CLIENT_ERROR", ErrorCode::name);
        Self { code, message: error.to_string() }
    }

    /// With what was probably meant.
    #[must_use]
    pub fn meant(mut self, meant: Option<String>) -> Self {
        self.message.push_str(&did_you_mean(&meant));
        self
    }
}
