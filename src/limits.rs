//! Every bound of the broker that is not a setting, and how they relate.

use crate::runtime::BLOCK_BYTES;
use std::time::Duration;

/// What the records of one batch may unpack to, where they must be opened.
pub const UNPACKED_BYTES_MAX: usize = 64 << 20;

/// Memory for unpacking that a core keeps from batch to batch.
pub const SCRATCH_BYTES_KEPT: usize = 1 << 20;

/// Requests that one connection may have open; it is not read further before one is answered.
pub const OPEN_REQUESTS_MAX: usize = 256;

/// Bytes of requests that one connection may have open, with what their answers may take; one of
/// any legal size always may be.
pub const OPEN_BYTES_MAX: usize = 16 << 20;

/// Bytes of answers that wait for one connection's client to read; beyond it no request is read.
pub const OUTBOX_BYTES_MAX: usize = 8 << 20;

/// Elements of all arrays of one request together. An element may be one byte on the wire and
/// hundreds in memory and in the answer, so that bytes alone bound neither.
pub const REQUEST_ELEMENTS_MAX: u32 = 1 << 17;

/// What one partition of a produce may cost beyond its bytes: its outcome, and its part of the
/// answer with the reason of a failure.
pub const PRODUCE_PART_BYTES: usize = 256;

/// Bytes of settings in one answer of DescribeConfigs; what follows is to be asked for anew.
pub const CONFIGS_BYTES_MAX: usize = 32 << 20;

/// Memory of one request that is kept for the next; what was larger goes back to the allocator.
pub const KEPT_BYTES_MAX: usize = 256 << 10;

/// Frames that one connection may have handled in one turn of the loop: then others have theirs.
pub const FRAMES_PER_TURN_MAX: usize = 32;

/// Letters that a core opens before it looks at its connections again.
pub const LETTERS_PER_TURN_MAX: usize = 512;

/// Bytes of a file that one sendfile sends: larger slices lose to socket buffers and caches
/// (64 to 256 KiB cost least per byte), and one connection must not hold the core.
pub const SENDFILE_BYTES_MAX: usize = 256 << 10;

/// Requests that one coordinator of groups may have without an answer, members that wait for a
/// rebalance above all.
pub const GROUP_REQUESTS_MAX: usize = 1 << 16;

/// Bytes at which a coordinator begins another batch in one turn: every reader takes such a batch.
pub const GROUP_BATCH_BYTES: usize = 1 << 20;

/// Bytes of the records that must be written together: a generation of a large group is one record.
pub const GROUP_WRITE_BYTES_MAX: usize = 16 << 20;

/// Records, and bytes of them, that a rewrite of the offsets topic or the replay of one at a start
/// does in one turn: a fraction of a millisecond, after which others have theirs. A single record
/// may be larger.
pub const GROUP_PIECE_RECORDS_MAX: usize = 512;
pub const GROUP_PIECE_BYTES_MAX: usize = 64 << 10;

/// Bytes of the offsets topic that a start reads at once, where offsets.load.buffer.size allows more.
pub const GROUP_LOAD_BYTES_MAX: usize = 1 << 20;

/// A partition of the offsets topic is not written anew for less than this.
pub const GROUP_DIRTY_BYTES_MIN: u64 = 4 << 20;

/// Partitions that one CreateTopics request may make (Kafka's bound on one batch of records).
pub const CREATE_PARTITIONS_MAX: usize = 10_000;

/// Rows (settings, producers) of one answer to a request that names what it wants described: a few
/// bytes of a request can ask for thousands of them, again and again.
pub const DESCRIBED_ROWS_MAX: usize = 1 << 20;

/// Receive blocks of a core: L2-sized, within these bounds.
pub const RECEIVE_BLOCK_BYTES: usize = 32 << 10;
pub const RECEIVE_BLOCKS_MIN: usize = 64;
pub const RECEIVE_BLOCKS_MAX: usize = 512;

/// Memory for large bodies that arrive, per core, where no setting bounds it.
pub const BODY_BYTES_PER_CORE: usize = 256 << 20;

/// How long a request may stand still half received while others wait for its memory; and how long
/// one that holds its share waits for more before it gives up what it has.
pub const ARRIVAL_PATIENCE: Duration = Duration::from_secs(5);

/// How long a client may let us wait for the rest of a request; it has a second more for as many bytes
/// as came. A network that drops a packet again and again, or a laptop that sleeps, takes less.
pub const FRAME_PATIENCE: Duration = Duration::from_secs(30);
pub const FRAME_BYTES_PER_SECOND: u64 = 1024;

/// How long a client may take nothing of what was sent to it. Answers cannot be kept for somebody
/// who does not read, or cannot be reached: the kernel's buffers and ours would fill up.
pub const WRITE_PATIENCE: Duration = Duration::from_secs(30);

/// How long a client that was told an address has to come there before it is looked for.
pub const RETURN_PATIENCE: Duration = Duration::from_secs(10);

/// Connections of one core whose clients are looked for at a time.
pub const WATCHED_CONNECTIONS_MAX: usize = 1024;

/// How long a stop waits for the answers of requests that have been begun; what has none then is
/// named, and its connection closed.
pub const DRAIN_PATIENCE: Duration = Duration::from_secs(5);

/// After this long a step of a stop is named, and again and again.
pub const STOP_STEP_PATIENCE: Duration = Duration::from_secs(5);

/// Lines of the log of one kind that clients may cause on one core in a while; more are counted.
pub const TOLD_LINES_MAX: u32 = 10;
pub const TOLD_WINDOW: Duration = Duration::from_secs(10);

/// Members of one group, where group.max.size allows more: a rebalance walks all of them.
pub const GROUP_MEMBERS_MAX: usize = 16_384;

/// Ids that one group has given out (KIP-394) and that nobody has joined with yet.
pub const GROUP_PENDING_JOINS_MAX: usize = 16_384;

/// Groups of one coordinator: at 4 KiB for an idle one, 400 MiB.
pub const GROUPS_PER_COORDINATOR_MAX: usize = 100_000;

/// What all groups of one core may hold, about: a million idle groups, or hundreds of thousands of
/// members. It is the broker's own memory, beside what requests take.
pub const GROUP_BYTES_PER_CORE_MAX: usize = 1 << 30;

/// What the members of a generation say of themselves and are assigned: it is one record, with their
/// names.
pub const GROUP_GENERATION_BYTES_MAX: usize = 12 << 20;

/// What a member may say of itself in all its protocols. A generation is one record: what is larger
/// than a record could never become stable.
pub const GROUP_MEMBER_BYTES_MAX: usize = 1 << 20;

/// Most records, and bytes of them, that a coordinator asks to be appended at once (a single record
/// may be larger): well below a batch of the offsets topic.
pub const GROUP_APPEND_RECORDS_MAX: usize = 1_000;
pub const GROUP_APPEND_BYTES_MAX: usize = 512 << 10;

/// Deadlines that a coordinator meets, and groups that it looks through for old offsets, before
/// others have their turn.
pub const GROUP_DEADLINES_PER_TICK_MAX: usize = 512;
pub const GROUPS_EXPIRED_PER_TICK_MAX: usize = 256;

/// Groups and members whose sessions begin after a load, before others have their turn.
pub const GROUPS_BEGUN_PER_TICK_MAX: usize = 2048;

/// How long a new member's JoinGroup may wait: it has no id to send heartbeats with (as in Kafka).
pub const GROUP_NEW_MEMBER_PATIENCE: Duration = Duration::from_secs(300);

/// Shortest pause before a rebalance that nobody joined is looked at again.
pub const GROUP_REBALANCE_PAUSE_MIN: Duration = Duration::from_secs(1);

// A connection's open requests cost little more than what one legal request may cost alone.
const _: () = assert!(REQUEST_ELEMENTS_MAX as usize * PRODUCE_PART_BYTES <= 2 * OPEN_BYTES_MAX);
// The largest legal request that Kafka's clients are known to send: all topics of a large cluster.
const _: () = assert!(REQUEST_ELEMENTS_MAX > 100_000);
// What a coordinator asks for at once fits a batch; only a single record may be larger.
const _: () = assert!(GROUP_APPEND_BYTES_MAX < GROUP_BATCH_BYTES);
const _: () = assert!(GROUP_MEMBER_BYTES_MAX < GROUP_GENERATION_BYTES_MAX);
// Names of members that are as long as usual fit into a generation's record, too.
const _: () =
    assert!(GROUP_GENERATION_BYTES_MAX + GROUP_MEMBERS_MAX * 256 <= GROUP_WRITE_BYTES_MAX);
const _: () = assert!(RECEIVE_BLOCKS_MIN.is_power_of_two() && RECEIVE_BLOCKS_MAX.is_power_of_two());
// A frame that fits a receive block never needs a large one.
const _: () = assert!(RECEIVE_BLOCK_BYTES <= BLOCK_BYTES);
// The largest request that Kafka takes by default must fit the memory for bodies.
const _: () = assert!(BODY_BYTES_PER_CORE >= 100 << 20);
