//! DescribeCluster (key 60): the brokers of the cluster.

use super::context::Context;
use super::metadata::cluster_operations;
use crate::model::ErrorCode;
use crate::protocol::message::write::describe_cluster::DescribeClusterBroker;
use crate::protocol::{Parse as _, ProtocolError, Reader, read, write};

/// KIP-919: what kind of node is asked for.
const BROKERS: i8 = 1;
const CONTROLLERS: i8 = 2;

pub fn answer(
    context: &Context,
    body: Reader<'_>,
    version: i16,
) -> Result<write::DescribeClusterResponse<'static>, ProtocolError> {
    let request = read::DescribeClusterRequest::parse(body, version)?;
    let node = context.shard.facts.config.node_id.0;
    let refuse = |code: ErrorCode, message: &'static str| write::DescribeClusterResponse {
        error_code: code.code(),
        error_message: Some(message.into()),
        endpoint_type: request.endpoint_type,
        ..write::DescribeClusterResponse::default()
    };
    Ok(match request.endpoint_type {
        BROKERS => write::DescribeClusterResponse {
            endpoint_type: BROKERS,
            cluster_id: context.shard.image().cluster_id.to_string().into(),
            controller_id: node,
            brokers: vec![DescribeClusterBroker {
                broker_id: node,
                host: context.advertised.host.clone().into(),
                port: i32::from(context.advertised.port),
                rack: context.shard.facts.config.rack.clone().map(Into::into),
                is_fenced: false,
            }],
            cluster_authorized_operations: cluster_operations(
                request.include_cluster_authorized_operations,
            ),
            ..write::DescribeClusterResponse::default()
        },
        CONTROLLERS => refuse(
            ErrorCode::MismatchedEndpointType,
            "the request was sent to a broker listener; it asks for controllers",
        ),
        _ => refuse(ErrorCode::UnsupportedEndpointType, "the endpoint type is not known"),
    })
}
