//! ListGroups (key 16): the groups that this broker coordinates, by state and type.

use super::error::ToCode;
use super::group_road::Asking;
use crate::group::ListFilter;
use crate::protocol::message::write::list_groups::ListedGroup;
use crate::protocol::{Parse as _, ProtocolError, Reader, read, write};

pub fn begin(
    asking: Asking,
    body: Reader<'_>,
) -> Result<impl Future<Output = Vec<u8>> + use<>, ProtocolError> {
    let request = read::ListGroupsRequest::parse(body, asking.version)?;
    let filter = ListFilter {
        states: request.states_filter.iter().map(Into::into).collect(),
        types: request.types_filter.iter().map(Into::into).collect(),
    };
    Ok(async move {
        let listed = match asking.shard().list_groups(&filter).await {
            Ok(listed) => listed,
            Err(error) => {
                return asking.answer(&write::ListGroupsResponse {
                    error_code: error.code().code(),
                    ..write::ListGroupsResponse::default()
                });
            }
        };
        let groups = listed.iter().map(|listed| ListedGroup {
            group_id: listed.group.as_str().into(),
            protocol_type: (&*listed.protocol_type).into(),
            group_state: listed.state.into(),
            group_type: listed.group_type.into(),
        });
        let groups = groups.collect();
        asking.answer(&write::ListGroupsResponse { groups, ..Default::default() })
    })
}
