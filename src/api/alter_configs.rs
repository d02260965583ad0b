//! AlterConfigs (key 33): settings that are not named lose their values.

use super::context::Context;
use super::dispatch::Asked;
use super::error::{METADATA_LOG_FAILED, ToCode as _};
use crate::broker::control::{Command, Outcome};
use crate::model::ErrorCode;
use crate::protocol::message::write::alter_configs::AlterConfigsResourceResponse;
use crate::protocol::{Parse as _, read, write};

/// What a resource may cost: its place in the plan, and its answer with the reason of a refusal.
const RESOURCE_BYTES: usize = 1 << 10;
/// What one of its settings may: the views that the plan is made from, its text, its record.
const CONFIG_BYTES: usize = 512;

/// What answering may cost.
pub fn cost(_context: &Context, request: &read::AlterConfigsRequest<'_>) -> usize {
    let of = |configs: usize| RESOURCE_BYTES + configs * CONFIG_BYTES;
    request.resources.iter().map(|resource| of(resource.configs.len())).sum()
}

pub async fn answer(context: &Context, asked: &Asked) -> Vec<u8> {
    let command = Command::AlterConfigs { frame: asked.frame(), version: asked.version };
    let responses = match context.shard.command(command).await {
        Outcome::Altered(outcomes) => outcomes
            .into_iter()
            .map(|(resource_type, name, result)| AlterConfigsResourceResponse {
                error_code: result.as_ref().err().map_or(0, |error| error.code().code()),
                error_message: result.err().map(|error| error.to_string().into()),
                resource_type,
                resource_name: name.into(),
            })
            .collect(),
        _ => failed(asked),
    };
    asked.answer(&write::AlterConfigsResponse {
        responses,
        ..write::AlterConfigsResponse::default()
    })
}

/// The metadata log could not be written.
fn failed(asked: &Asked) -> Vec<AlterConfigsResourceResponse<'static>> {
    asked.read(|body| {
        let request = read::AlterConfigsRequest::parse(body, asked.version)?;
        let resources = request.resources.iter().map(|resource| AlterConfigsResourceResponse {
            error_code: ErrorCode::KafkaStorageError.code(),
            error_message: Some(METADATA_LOG_FAILED.into()),
            resource_type: resource.resource_type,
            resource_name: resource.resource_name.to_string().into(),
        });
        Ok(resources.collect())
    })
}
