//! LeaveGroup: members that say goodbye, or whom an administrator removes.

use super::answer::{Answer, Left};
use super::command::{Leave, Leaver, Now};
use super::coordinator::Coordinator;
use super::effect::{Effects, ReplyId};
use super::error::GroupError;
use super::group::{Group, State};
use super::inflight::Waiter;
use super::rebalance::Turn;

impl Coordinator {
    pub fn on_leave(&mut self, now: Now, leave: Leave, reply: ReplyId, effects: &mut Effects) {
        if leave.group.is_empty() {
            return effects.reply(reply, Answer::Leave(Err(GroupError::EmptyGroupId)));
        }
        let id = leave.group.clone();
        self.leave(now, leave, reply, effects);
        self.recharge(&id);
    }

    fn leave(&mut self, now: Now, leave: Leave, reply: ReplyId, effects: &mut Effects) {
        let (groups, mut turn) = self.split(now, effects);
        let Some(group) = groups.get_mut(&leave.group) else {
            let left = leave.members.into_iter().map(|leaver| {
                let member = leaver.member.clone();
                left(leaver, Err(GroupError::UnknownMember { member }))
            });
            let answer = Answer::Leave(Ok(left.collect()));
            return effects.reply(reply, answer);
        };
        let mut reasons = Vec::new();
        let mut results = Vec::with_capacity(leave.members.len());
        for leaver in leave.members {
            let result = group.remove(&mut turn, &leaver);
            if result.is_ok() {
                reasons.push(farewell(&leaver));
            }
            results.push(left(leaver, result));
        }
        let token = match group.state {
            State::Empty => None,
            _ if reasons.is_empty() => None,
            State::Preparing => group.complete_if_joined(&mut turn),
            State::Completing | State::Stable => {
                group.prepare(&mut turn, &format!("left: {}", reasons.join(", ")))
            }
        };
        let answer = Answer::Leave(Ok(results));
        match token {
            Some(token) => turn.inflight.wait(token, Waiter::Reply(reply, answer)),
            None => turn.effects.reply(reply, answer),
        }
    }
}

impl Group {
    fn remove(&mut self, turn: &mut Turn<'_>, leaver: &Leaver) -> Result<(), GroupError> {
        let Leaver { member, instance, .. } = leaver;
        if let Some(mut alarm) = self.pending.remove(member) {
            turn.deadlines.cancel(&mut alarm);
            return Ok(());
        }
        let id = if member.is_empty() {
            let owner = instance.as_ref().and_then(|instance| self.statics.get(instance));
            owner.ok_or_else(|| GroupError::UnknownMember { member: member.clone() })?.clone()
        } else {
            self.check_member(member, instance.as_ref())?;
            member.clone()
        };
        self.drop_member(turn, &id);
        Ok(())
    }
}

fn left(leaver: Leaver, result: Result<(), GroupError>) -> Left {
    Left { member: leaver.member, instance: leaver.instance, result }
}

/// Who it was, and why, for the log.
fn farewell(leaver: &Leaver) -> String {
    let name = match &leaver.instance {
        Some(instance) if leaver.member.is_empty() => format!("instance {instance}"),
        _ => format!("member {}", leaver.member),
    };
    match &leaver.reason {
        Some(reason) => format!("{name} ({reason})"),
        None => name,
    }
}
