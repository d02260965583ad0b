//! ListConfigResources (key 74): everything that settings can be asked of.

use super::context::Context;
use crate::controller::Image;
use crate::model::{ErrorCode, ResourceType};
use crate::protocol::message::write::list_config_resources::ConfigResource;
use crate::protocol::{Parse as _, ProtocolError, Reader, read, write};

pub fn answer(
    context: &Context,
    body: Reader<'_>,
    version: i16,
) -> Result<write::ListConfigResourcesResponse<'static>, ProtocolError> {
    let request = read::ListConfigResourcesRequest::parse(body, version)?;
    let wanted: Option<Vec<ResourceType>> = match version {
        // KIP-714 had it for client metrics alone.
        0 => Some(vec![ResourceType::ClientMetrics]),
        _ if request.resource_types.is_empty() => Some(ResourceType::ALL.to_vec()),
        _ => request.resource_types.iter().map(ResourceType::from_code).collect(),
    };
    let Some(wanted) = wanted else {
        return Ok(write::ListConfigResourcesResponse {
            error_code: ErrorCode::UnsupportedVersion.code(),
            ..write::ListConfigResourcesResponse::default()
        });
    };
    let image = context.shard.image();
    // In the order in which Kafka tells them.
    let kinds = ResourceType::ALL.iter().rev().filter(|kind| wanted.contains(kind));
    let config_resources = kinds.flat_map(|kind| {
        names(&image, *kind)
            .into_iter()
            .map(|name| ConfigResource { resource_name: name.into(), resource_type: kind.code() })
    });
    Ok(write::ListConfigResourcesResponse {
        config_resources: config_resources.collect(),
        ..write::ListConfigResourcesResponse::default()
    })
}

fn names(image: &Image, kind: ResourceType) -> Vec<String> {
    match kind {
        ResourceType::Topic => image.topics().map(|topic| topic.name.to_string()).collect(),
        ResourceType::Broker | ResourceType::BrokerLogger => {
            image.brokers().keys().map(ToString::to_string).collect()
        }
        // None can be made yet.
        ResourceType::ClientMetrics => Vec::new(),
        ResourceType::Group => image.configured_groups().map(ToString::to_string).collect(),
    }
}
