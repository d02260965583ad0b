//! DeleteGroups (key 42): groups without members go, with all that they have committed.

use super::error::ToCode;
use super::group_road::{Asking, code};
use crate::broker::groups::{Ask, Told};
use crate::group::{Answer, GroupId};
use crate::protocol::message::write::delete_groups::DeletableGroupResult;
use crate::protocol::{Parse as _, ProtocolError, Reader, read, write};
use std::collections::BTreeSet;

pub fn begin(
    asking: Asking,
    body: Reader<'_>,
) -> Result<impl Future<Output = Vec<u8>> + use<>, ProtocolError> {
    let request = read::DeleteGroupsRequest::parse(body, asking.version)?;
    // Each once: a second answer would say that the group is not there.
    let groups: BTreeSet<GroupId> = request.groups_names.iter().map(GroupId::from).collect();
    Ok(async move {
        let groups = groups.into_iter().collect();
        let mut answer = write::DeleteGroupsResponse::default();
        for (groups, told) in asking.ask_each(groups, Ask::DeleteGroups).await {
            let results: Vec<_> = match told {
                Ok(Told::Answer(Answer::DeleteGroups(results))) => {
                    let results = results.into_iter();
                    results.map(|(group, result)| (group, code(&result))).collect()
                }
                Ok(_) => unreachable!("a deletion has a deletion's answer"),
                Err(error) => {
                    let error_code = error.code().code();
                    groups.into_iter().map(|group| (group, error_code)).collect()
                }
            };
            let results = results.into_iter().map(|(group, error_code)| DeletableGroupResult {
                group_id: group.as_str().to_string().into(),
                error_code,
            });
            answer.results.extend(results);
        }
        asking.answer(&answer)
    })
}
