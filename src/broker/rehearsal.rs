//! Faults on demand, for tests of the whole process: only in builds with the feature `sim`, which no
//! release has, and only where `HIGHWATER_REHEARSE` is set. A request asks by its client id.

use crate::base::Pieces;
use std::sync::OnceLock;
use std::time::Duration;

/// Where a fault is asked for, and by which client id.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// Where a request is decoded.
    Decode,
    /// Where a core works on its own state.
    Core,
    /// Where a core works, and does not come back for a while.
    Stuck,
    /// On a thread that is no core.
    Aside,
}

/// A batch that holds these bytes cannot be validated.
pub const BAD_VALUE: &[u8] = b"rehearse a panic in validation";

/// How long a core is stuck.
const STUCK_FOR: Duration = Duration::from_millis(2500);

impl Place {
    pub fn client_id(self) -> &'static str {
        match self {
            Self::Decode => "rehearse-decode",
            Self::Core => "rehearse-core",
            Self::Stuck => "rehearse-stuck",
            Self::Aside => "rehearse-aside",
        }
    }
}

fn is_rehearsed() -> bool {
    static IS_SET: OnceLock<bool> = OnceLock::new();
    *IS_SET.get_or_init(|| std::env::var_os("HIGHWATER_REHEARSE").is_some())
}

/// Has the fault, if the request asks for it here.
pub fn strike(place: Place, client_id: Option<&str>) {
    if client_id != Some(place.client_id()) || !is_rehearsed() {
        return;
    }
    match place {
        Place::Stuck => std::thread::sleep(STUCK_FOR),
        Place::Aside => {
            let aside = crate::runtime::machine::start_aside("rehearsal", || panic!("rehearsed"));
            drop(aside);
        }
        Place::Decode | Place::Core => panic!("rehearsed"),
    }
}

/// Has the fault, if it is asked for outside of any fence.
pub fn strike_elsewhere(client_id: Option<&str>) {
    for place in [Place::Core, Place::Stuck, Place::Aside] {
        strike(place, client_id);
    }
}

/// Has the fault, if the batch asks for it. Tests beside the code are always rehearsals.
pub fn strike_at_batch(batch: Pieces<'_>) {
    if !cfg!(test) && !is_rehearsed() {
        return;
    }
    let bytes = batch.to_vec();
    assert!(!bytes.windows(BAD_VALUE.len()).any(|window| window == BAD_VALUE), "rehearsed");
}
