//! The numbers of a log, each its own type.

use std::fmt;

macro_rules! number {
    ($(#[$doc:meta])* $name:ident($inner:ty)) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[repr(transparent)]
        pub struct $name(pub $inner);

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }
    };
}

number! {
    /// A place in a partition's log: the index of a record since the beginning. Never negative in a log.
    Offset(i64)
}
number! {
    /// Term of a partition's leader; -1 where none is known.
    LeaderEpoch(i32)
}
number! {
    /// Identity of an idempotent producer; -1 for a producer that is not.
    ProducerId(i64)
}
number! {
    /// Generation of a producer id; -1 for a producer that is not idempotent.
    ProducerEpoch(i16)
}
number! {
    /// Index of a partition inside its topic, from 0.
    PartitionIndex(i32)
}
number! {
    /// Kafka's node.id: a broker or a controller.
    NodeId(i32)
}
number! {
    /// Milliseconds since the Unix epoch; -1 where none is given.
    Timestamp(i64)
}

impl Offset {
    pub const ZERO: Self = Self(0);

    /// The offset `count` records later; saturates, since no log reaches the end of `i64`.
    #[must_use]
    pub const fn plus(self, count: i64) -> Self {
        Self(self.0.saturating_add(count))
    }
}

impl LeaderEpoch {
    pub const NONE: Self = Self(-1);
}

impl ProducerId {
    pub const NONE: Self = Self(-1);

    pub const fn is_some(self) -> bool {
        self.0 >= 0
    }
}

impl ProducerEpoch {
    pub const NONE: Self = Self(-1);
}

impl Timestamp {
    pub const NONE: Self = Self(-1);
}
