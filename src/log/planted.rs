//! Mistakes that a simulation plants, to show that it would find them. Each stands, behind a
//! switch, where somebody might make it; outside of tests and simulations the switch is a constant
//! and the mistake is not compiled.

macro_rules! bugs {
    ($($name:ident: $what:literal,)*) => {
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum Bug {
            $($name,)*
        }

        #[cfg(any(test, feature = "sim"))]
        impl Bug {
            pub const ALL: [Self; [$($what),*].len()] = [$(Self::$name),*];

            /// The mistake, in words.
            pub fn what(self) -> &'static str {
                match self {
                    $(Self::$name => $what,)*
                }
            }
        }
    };
}

bugs! {
    FolderNotSynced: "a sync leaves the names in the folder out",
    FolderNameNotSynced: "a sync leaves the folder's own name out",
    AckBeforeWrite: "a write is acknowledged when it was only begun",
    PointBeforeSync: "the recovery point moves before the fdatasync",
    FailedSyncTrusted: "a failed fdatasync is tried again, and trusted",
    SyncsOverlap: "two syncs of one file run at once, and one of them is told of a failure",
    CheckpointNotSynced: "a checkpoint is renamed into place before its bytes are on disk",
    CheckpointNameNotSynced: "a checkpoint's new name is not synced",
    TailCutTooFar: "a torn tail is cut one batch too far",
    TailNotChecked: "recovery believes headers and computes no checksums",
    HoleAccepted: "recovery goes on after missing offsets",
    SealNotSynced: "a sealed segment's records are not synced",
    SealBelievedEarly: "the recovery point passes a segment that is still being sealed",
    ProducersNotReplayed: "batches after a producer snapshot are not replayed",
    EpochsNotSynced: "leader epochs are not synced before the recovery point passes them",
    UndoSkipped: "the bytes of a failed write stay in the file",
    HeldUnloaded: "a segment is given back while a read counts on it",
    NewestRemovedFirst: "retention removes the newest segment first",
}

impl Bug {
    /// Whether a simulation has planted it on this thread.
    #[cfg(any(test, feature = "sim"))]
    pub fn is_planted(self) -> bool {
        planting::PLANTED.get() == Some(self)
    }

    #[cfg(not(any(test, feature = "sim")))]
    #[allow(clippy::unused_self)] // the same call as in a simulation
    pub const fn is_planted(self) -> bool {
        false
    }
}

#[cfg(any(test, feature = "sim"))]
pub mod planting {
    //! Planting a mistake for a while.

    use super::Bug;
    use std::cell::Cell;

    thread_local! {
        pub(super) static PLANTED: Cell<Option<Bug>> = const { Cell::new(None) };
    }

    /// Planted on this thread as long as this lives.
    #[must_use]
    pub struct Planted(());

    impl Planted {
        pub fn plant(bug: Bug) -> Self {
            PLANTED.set(Some(bug));
            Self(())
        }
    }

    impl Drop for Planted {
        fn drop(&mut self) {
            PLANTED.set(None);
        }
    }
}
