//! The things that have settings, under Kafka's numbers.

/// What kind of thing a request about settings names.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(i8)]
pub enum ResourceType {
    Topic = 2,
    /// One broker; under the empty name, all of them.
    Broker = 4,
    /// The levels of a broker's log.
    BrokerLogger = 8,
    /// A subscription of client metrics (KIP-714).
    ClientMetrics = 16,
    Group = 32,
}

impl ResourceType {
    /// Every kind, in the order of the numbers.
    pub const ALL: &[Self] =
        &[Self::Topic, Self::Broker, Self::BrokerLogger, Self::ClientMetrics, Self::Group];

    /// The kind of a number on the wire.
    pub const fn from_code(code: i8) -> Option<Self> {
        Some(match code {
            2 => Self::Topic,
            4 => Self::Broker,
            8 => Self::BrokerLogger,
            16 => Self::ClientMetrics,
            32 => Self::Group,
            _ => return None,
        })
    }

    /// The number on the wire.
    pub const fn code(self) -> i8 {
        self as i8
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_there_and_back() {
        for &kind in ResourceType::ALL {
            assert_eq!(ResourceType::from_code(kind.code()), Some(kind));
        }
        for code in [-1, 0, 1, 3, 33, i8::MAX] {
            assert_eq!(ResourceType::from_code(code), None);
        }
    }
}
