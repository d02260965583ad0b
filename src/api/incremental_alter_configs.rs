//! IncrementalAlterConfigs (key 44): settings are set, deleted, appended to and subtracted from.

use super::broker_logger::{self, LoggerError};
use super::context::Context;
use super::dispatch::Asked;
use super::error::{METADATA_LOG_FAILED, ToCode};
use crate::broker::control::{Command, Outcome};
use crate::controller::AlterError;
use crate::model::{ErrorCode, ResourceType};
use crate::protocol::message::write::incremental_alter_configs::AlterConfigsResourceResponse;
use crate::protocol::{Parse as _, read, write};
use std::collections::BTreeMap;

/// What a resource may cost: its place in the plan, and its answer with the reason of a refusal.
const RESOURCE_BYTES: usize = 1 << 10;
/// What one of its settings may: the views that the plan is made from, its text, its record.
const CONFIG_BYTES: usize = 512;

type Answer = AlterConfigsResourceResponse<'static>;

/// A resource's type and name, and what became of it.
type AlterResult = (i8, String, Result<(), AlterError>);

/// What answering may cost.
pub fn cost(_context: &Context, request: &read::IncrementalAlterConfigsRequest<'_>) -> usize {
    let of = |configs: usize| RESOURCE_BYTES + configs * CONFIG_BYTES;
    request.resources.iter().map(|resource| of(resource.configs.len())).sum()
}

pub async fn answer(context: &Context, asked: &Asked) -> Vec<u8> {
    let command = Command::IncrementalAlterConfigs { frame: asked.frame(), version: asked.version };
    let responses = match context.shard.command(command).await {
        Outcome::Altered(outcomes) => {
            let is_logger =
                |(.., result): &AlterResult| matches!(result, Err(AlterError::BrokerLogger));
            let has_loggers = outcomes.iter().any(is_logger);
            let mut loggers =
                if has_loggers { alter_loggers(context, asked) } else { BTreeMap::new() };
            let describe_one = |(code, name, result): AlterResult| match result {
                Err(AlterError::BrokerLogger) => {
                    let result = loggers.remove(&name).expect("it was there before");
                    describe(code, name, result)
                }
                result => describe(code, name, result),
            };
            outcomes.into_iter().map(describe_one).collect()
        }
        _ => failed(asked),
    };
    asked.answer(&write::IncrementalAlterConfigsResponse {
        responses,
        ..write::IncrementalAlterConfigsResponse::default()
    })
}

fn describe<E: ToCode + ToString>(
    resource_type: i8,
    name: String,
    result: Result<(), E>,
) -> Answer {
    AlterConfigsResourceResponse {
        error_code: result.as_ref().err().map_or(0, |error| error.code().code()),
        error_message: result.err().map(|error| error.to_string().into()),
        resource_type,
        resource_name: name.into(),
    }
}

/// The level of the log is this process's own; the controller has checked the request's form, and
/// that each resource is there once.
fn alter_loggers(context: &Context, asked: &Asked) -> BTreeMap<String, Result<(), LoggerError>> {
    let code = ResourceType::BrokerLogger.code();
    asked.read(|body| {
        let request = read::IncrementalAlterConfigsRequest::parse(body, asked.version)?;
        let loggers = request.resources.iter().filter(|resource| resource.resource_type == code);
        let results = loggers.map(|resource| {
            let result = broker_logger::alter(context, &resource, request.validate_only);
            (resource.resource_name.to_owned(), result)
        });
        Ok(results.collect())
    })
}

/// The metadata log could not be written.
fn failed(asked: &Asked) -> Vec<Answer> {
    asked.read(|body| {
        let request = read::IncrementalAlterConfigsRequest::parse(body, asked.version)?;
        let resources = request.resources.iter().map(|resource| AlterConfigsResourceResponse {
            error_code: ErrorCode::KafkaStorageError.code(),
            error_message: Some(METADATA_LOG_FAILED.into()),
            resource_type: resource.resource_type,
            resource_name: resource.resource_name.to_string().into(),
        });
        Ok(resources.collect())
    })
}
