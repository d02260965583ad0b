//! Requests whose answers are to come, each under the name that its coordinator knows it by.

use super::ask::GroupReply;
use crate::broker::Shard;
use crate::broker::call::Reply;
use crate::broker::letter::{Letter, Ticket};
use crate::group::ReplyId;
use crate::runtime::sync::Promise;

/// Who waits for an answer.
pub enum Asker {
    /// A task of this core.
    Here(Promise<Reply>),
    /// A call of another core.
    There { home: u16, ticket: Ticket },
}

/// Places of requests; an answered one's is used again.
#[derive(Default)]
pub struct Waiting {
    askers: Vec<Option<Asker>>,
    free: Vec<usize>,
}

impl Asker {
    pub fn tell(self, shard: &Shard, reply: GroupReply) {
        let reply = Reply::Group(reply);
        match self {
            Self::Here(promise) => promise.keep(reply),
            Self::There { home, ticket } => {
                shard.send(usize::from(home), Letter::Reply { ticket, reply: Box::new(reply) });
            }
        }
    }
}

impl Waiting {
    pub fn len(&self) -> usize {
        self.askers.len() - self.free.len()
    }

    pub fn open(&mut self, asker: Asker) -> ReplyId {
        let place = self.free.pop().unwrap_or_else(|| {
            self.askers.push(None);
            self.askers.len() - 1
        });
        self.askers[place] = Some(asker);
        ReplyId(place as u64)
    }

    pub fn close(&mut self, id: ReplyId) -> Asker {
        let place = id.0 as usize;
        let asker = self.askers[place].take().expect("a request is answered once");
        self.free.push(place);
        asker
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_is_used_again_when_its_request_is_answered() {
        let mut waiting = Waiting::default();
        let open = |waiting: &mut Waiting, ticket| waiting.open(Asker::There { home: 0, ticket });
        let first = open(&mut waiting, 1);
        let second = open(&mut waiting, 2);
        assert_ne!(first, second);
        assert!(matches!(waiting.close(first), Asker::There { ticket: 1, .. }));
        assert_eq!(waiting.len(), 1);
        assert_eq!(open(&mut waiting, 3), first);
        assert_eq!(waiting.len(), 2);
    }
}
