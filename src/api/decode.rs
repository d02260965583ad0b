//! Where requests are decoded: what cannot be, and what our own decoder fails on, ends the
//! connection that it came on, and nothing else.

use crate::protocol::ProtocolError;
use crate::runtime::panics::{Panicked, fence};

/// Why a request cannot be begun.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unreadable {
    #[error("{0}")]
    Protocol(#[from] ProtocolError),
    #[error("{0}")]
    Panicked(#[from] Panicked),
}

/// Decodes; must change nothing that others see.
pub fn decode<T>(read: impl FnOnce() -> Result<T, ProtocolError>) -> Result<T, Unreadable> {
    Ok(fence(read)??)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_of_a_decoder_is_an_error_of_its_request() {
        let good = decode(|| Ok(1));
        assert_eq!(good, Ok(1));
        let error = ProtocolError::ApiKey { key: 1000, version: 0 };
        assert_eq!(decode(|| Err::<u8, _>(error)), Err(Unreadable::Protocol(error)));
        let empty: [u8; 0] = [];
        let at = std::hint::black_box(3);
        let failed = decode(|| Ok(empty[at])).unwrap_err();
        assert!(matches!(&failed, Unreadable::Panicked(_)), "{failed}");
        assert!(failed.to_string().contains("index out of bounds"), "{failed}");
    }
}
