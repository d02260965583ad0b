//! AlterClientQuotas (key 49): quotas are not served yet. To remove one that is not there is
//! nothing to do; to set one is refused, since nobody would keep to it.

use super::context::Context;
use super::describe_client_quotas::{CLIENT_ID, IP, USER};
use super::error::ToCode;
use crate::protocol::message::write::alter_client_quotas::{QuotaAlterationResult, QuotaEntity};
use crate::protocol::{Parse as _, ProtocolError, Reader, read, write};

/// What may be limited, by entity.
const USER_KEYS: &[&str] =
    &["producer_byte_rate", "consumer_byte_rate", "request_percentage", "controller_mutation_rate"];
const IP_KEYS: &[&str] = &["connection_creation_rate"];

type Alteration<'a> = read::alter_client_quotas::QuotaAlteration<'a>;

/// Why a quota is not changed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum QuotaError {
    #[error("Invalid empty client quota entity")]
    NoEntity,
    #[error("Unhandled client quota entity type: {0}")]
    UnknownEntity(String),
    #[error("Invalid quota entity combination")]
    Combination,
    #[error("Invalid configuration key {0}")]
    UnknownKey(String),
    #[error("Client quotas are not served yet: {key} of {value} would not be kept.")]
    NotServed { key: String, value: String },
}

pub fn answer(
    _context: &Context,
    body: Reader<'_>,
    version: i16,
) -> Result<write::AlterClientQuotasResponse<'static>, ProtocolError> {
    let request = read::AlterClientQuotasRequest::parse(body, version)?;
    let entries = request.entries.iter().map(|entry| {
        let error = check(&entry).err();
        QuotaAlterationResult {
            error_code: error.as_ref().map_or(0, |error| error.code().code()),
            error_message: error.map(|error| error.to_string().into()),
            entity: entry
                .entity
                .iter()
                .map(|entity| QuotaEntity {
                    entity_type: entity.entity_type.to_owned().into(),
                    entity_name: entity.entity_name.map(|name| name.to_owned().into()),
                })
                .collect(),
        }
    });
    Ok(write::AlterClientQuotasResponse {
        entries: entries.collect(),
        ..write::AlterClientQuotasResponse::default()
    })
}

fn check(entry: &Alteration<'_>) -> Result<(), QuotaError> {
    let types: Vec<&str> = entry.entity.iter().map(|entity| entity.entity_type).collect();
    if types.is_empty() {
        return Err(QuotaError::NoEntity);
    }
    if let Some(unknown) = types.iter().find(|kind| ![USER, CLIENT_ID, IP].contains(kind)) {
        return Err(QuotaError::UnknownEntity((*unknown).to_owned()));
    }
    let is_ip = types.contains(&IP);
    if is_ip && types.len() > 1 {
        return Err(QuotaError::Combination);
    }
    let keys = if is_ip { IP_KEYS } else { USER_KEYS };
    // What is not there is removed without a look, as in Kafka.
    match entry.ops.iter().find(|op| !op.remove) {
        None => Ok(()),
        Some(op) if !keys.contains(&op.key) => Err(QuotaError::UnknownKey(op.key.to_owned())),
        Some(op) => {
            let (key, value) = (op.key.to_owned(), op.value.to_string());
            Err(QuotaError::NotServed { key, value })
        }
    }
}
