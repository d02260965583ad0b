//! Rare paths, marked where they are taken: a simulation that says which of them no seed has
//! reached says what it has not shown. Outside of tests and simulations a mark is nothing.

macro_rules! rare_paths {
    ($($name:ident: $what:literal,)*) => {
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum Rare {
            $($name,)*
        }

        #[cfg(any(test, feature = "sim"))]
        impl Rare {
            pub const ALL: [Self; [$($what),*].len()] = [$(Self::$name),*];

            /// The path, in words.
            pub fn what(self) -> &'static str {
                match self {
                    $(Self::$name => $what,)*
                }
            }
        }
    };
}

rare_paths! {
    TailCut: "recovery cuts a torn tail",
    CutKept: "recovery keeps whole batches that it cuts off",
    SegmentAside: "recovery puts a segment aside that comes after a cut",
    SegmentDropped: "recovery drops an empty segment that comes after a cut",
    Quarantined: "recovery sets damage below the recovery point aside",
    Hole: "offsets are missing between two segments",
    MarkerLied: "the last segment is not what a clean stop promised",
    CleanTail: "a clean start reads what comes after the last index entry",
    EpochsUnusable: "the leader epochs' file is no such file",
    SnapshotUnusable: "a producer snapshot is no such file",
    SnapshotReplayed: "headers are replayed between a snapshot and what is scanned",
    TopicIdTorn: "a partition's metadata are torn",
    EmptyRemoved: "an empty segment with others after it is removed",
    GarbageRemoved: "an unfinished file of an earlier process is removed",
    OrphanRemoved: "an index without its segment is removed",
    IndexRebuilt: "the indexes of an old segment are built again",
    LoadedInVain: "a segment goes while it is being loaded",
    InlineFailed: "an inline write fails",
    WriteUndone: "a failed write is cut off again",
    RollUndone: "a failed roll takes its file away again",
    UndoFailed: "a failed write cannot be undone",
    StagedBehindFailure: "what was staged behind a failed write is forgotten",
    SealFailed: "a segment cannot be sealed",
    SyncBehindSeal: "a sync waits for a segment that is being sealed",
    SyncBehindSync: "a sync waits for another",
    SyncShared: "a sync finds its work done",
    SyncRefused: "a sync finds its directory out of service",
    PointHeld: "the recovery point waits for a segment that is being sealed",
    AllExpired: "every segment expires and a new one takes their place",
    ExpiryPut: "the last segment expires while a write is on its way",
    DamageRead: "a read meets damage",
}

impl Rare {
    /// Counts that the path is taken.
    #[inline]
    pub fn reached(self) {
        #[cfg(any(test, feature = "sim"))]
        counts::add(self);
    }
}

#[cfg(any(test, feature = "sim"))]
pub mod counts {
    //! How often this thread has taken each path.

    use super::Rare;
    use std::cell::RefCell;

    thread_local! {
        static COUNTS: RefCell<[u64; Rare::ALL.len()]> = const { RefCell::new([0; Rare::ALL.len()]) };
    }

    pub(super) fn add(path: Rare) {
        COUNTS.with_borrow_mut(|counts| counts[path as usize] += 1);
    }

    /// All counts since the last call, in the order of [`Rare::ALL`].
    pub fn take() -> [u64; Rare::ALL.len()] {
        COUNTS.replace([0; Rare::ALL.len()])
    }
}
