//! Settings of Highwater that Kafka does not have. All begin with `highwater.`.

use crate::config::kind::{Check::*, Kind::*};
use crate::config::setting::{Setting, Update::*, served};

#[rustfmt::skip]
pub(super) static SETTINGS: &[Setting] = &[
    served("highwater.cores", Text, Some("auto"), NonEmpty, ReadOnly,
        "Cores that own partitions: auto, a count, or a list such as 0-3,6."),
    served("highwater.spin.us.max", Int, Some("50"), Between(0, 10000), ReadOnly,
        "Longest time in microseconds that an idle core looks for work before it sleeps; 0 never spins."),
    served("highwater.append.path", Text, Some("auto"), OneOf(&["auto", "inline", "ring"]), ReadOnly,
        "How appends reach the file: auto measures, inline writes in place, ring leaves all to io_uring."),
    served("highwater.disable.features", List, Some(""), Any, ReadOnly,
        "Kernel features that are not used although they are there, by the names the banner shows; all is all."),
    served("highwater.strict.records", Boolean, Some("false"), Any, ReadOnly,
        "Whether every record of every batch is checked, not only the batch."),
    served("highwater.memory", Long, Some("0"), AtLeast(0), ReadOnly,
        "Bytes of memory that the broker may use, half of it for large requests that arrive; 0 takes an eighth of the machine's for these, at most 256 MiB a core."),
    served("highwater.log.format", Text, Some("text"), OneOf(&["text", "json"]), ReadOnly,
        "How the lines of the log on standard error are written: text for people, json for their tools."),
    served("highwater.metrics.listener", Text, Some("127.0.0.1:9644"), Any, ReadOnly,
        "Address and port at which the metrics are shown over HTTP, at /metrics; port 0 is any free one, and empty shows them nowhere."),
];
