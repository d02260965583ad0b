//! What a group's leader gives to whom: Kafka's range and cooperative-sticky.
//!
//! Range gives each member a run of each topic's partitions, members in the order of their names.
//! Cooperative-sticky leaves partitions with who has them, as far as that is even; one that is to go
//! to another member is given to nobody first, so that its owner lets it go, and to the other in the
//! rebalance that follows.

use crate::cli::cluster::offsets::Place;
use std::collections::{BTreeMap, BTreeSet};

#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Assignor {
    Range,
    CooperativeSticky,
}

/// A member as the leader sees it.
#[derive(Clone, Debug)]
pub struct Candidate {
    pub id: String,
    /// Of a static member: it is sorted by this.
    pub instance_id: Option<String>,
    pub topics: BTreeSet<String>,
    pub owned: BTreeSet<Place>,
    pub generation: i32,
}

impl Assignor {
    pub const fn name(self) -> &'static str {
        match self {
            Self::Range => "range",
            Self::CooperativeSticky => "cooperative-sticky",
        }
    }

    /// Whether members keep what they have while they join again.
    pub const fn is_cooperative(self) -> bool {
        matches!(self, Self::CooperativeSticky)
    }

    /// Partitions by member; `counts` has the partitions of each topic.
    pub fn assign(
        self,
        members: &[Candidate],
        counts: &BTreeMap<String, i32>,
    ) -> BTreeMap<String, Vec<Place>> {
        match self {
            Self::Range => range(members, counts),
            Self::CooperativeSticky => sticky(members, counts),
        }
    }
}

fn range(members: &[Candidate], counts: &BTreeMap<String, i32>) -> BTreeMap<String, Vec<Place>> {
    let mut given: BTreeMap<String, Vec<Place>> =
        members.iter().map(|member| (member.id.clone(), Vec::new())).collect();
    for (topic, &count) in counts {
        let mut takers: Vec<_> = members.iter().filter(|m| m.topics.contains(topic)).collect();
        // Static members first, by their names; then the others by theirs.
        takers.sort_by_key(|m| (m.instance_id.is_none(), m.instance_id.clone(), m.id.clone()));
        let Ok(size) = i32::try_from(takers.len()) else { continue };
        let mut next = 0;
        for (index, taker) in (0..).zip(takers) {
            let more = count / size + i32::from(index < count % size);
            if let Some(own) = given.get_mut(&taker.id) {
                own.extend((next..next + more).map(|partition| (topic.clone(), partition)));
            }
            next += more;
        }
    }
    given
}

fn sticky(members: &[Candidate], counts: &BTreeMap<String, i32>) -> BTreeMap<String, Vec<Place>> {
    let all: BTreeSet<Place> = counts
        .iter()
        .flat_map(|(topic, count)| (0..*count).map(|partition| (topic.clone(), partition)))
        .collect();
    let owners = owners(members, &all);
    let mut given: BTreeMap<&str, BTreeSet<Place>> =
        members.iter().map(|member| (member.id.as_str(), BTreeSet::new())).collect();
    for (place, owner) in &owners {
        given.entry(owner).or_default().insert(place.clone());
    }
    // What nobody has goes to whoever has least.
    for place in all.iter().filter(|place| !owners.contains_key(*place)) {
        let takers = members.iter().filter(|member| member.topics.contains(&place.0));
        if let Some(taker) = takers.min_by_key(|m| (given[m.id.as_str()].len(), m.id.as_str())) {
            given.entry(taker.id.as_str()).or_default().insert(place.clone());
        }
    }
    level(members, &mut given);
    let settle = |(id, places): (&str, BTreeSet<Place>)| {
        // Not yet: its owner has to let it go first.
        let is_free = |place: &Place| owners.get(place).is_none_or(|owner| *owner == id);
        (id.to_owned(), places.into_iter().filter(is_free).collect())
    };
    given.into_iter().map(settle).collect()
}

/// Who has what. A claim of an older generation yields; two of the same one are both void.
fn owners<'m>(members: &'m [Candidate], all: &BTreeSet<Place>) -> BTreeMap<Place, &'m str> {
    let mut claims: BTreeMap<&Place, Vec<&Candidate>> = BTreeMap::new();
    for member in members {
        for place in member.owned.iter().filter(|place| all.contains(*place)) {
            if member.topics.contains(&place.0) {
                claims.entry(place).or_default().push(member);
            }
        }
    }
    let winner = |(place, claims): (&Place, Vec<&'m Candidate>)| {
        let newest = claims.iter().map(|member| member.generation).max()?;
        let mut of_newest = claims.into_iter().filter(|member| member.generation == newest);
        let first = of_newest.next()?;
        of_newest.next().is_none().then(|| (place.clone(), first.id.as_str()))
    };
    claims.into_iter().filter_map(winner).collect()
}

/// Moves single partitions from who has most to who has least, until they differ by one at most.
fn level(members: &[Candidate], given: &mut BTreeMap<&str, BTreeSet<Place>>) {
    loop {
        let mut best: Option<(usize, &str, &str, Place)> = None;
        for from in members {
            let have = given[from.id.as_str()].len();
            for to in members {
                let gap = have.saturating_sub(given[to.id.as_str()].len());
                if gap < 2 || best.as_ref().is_some_and(|(most, ..)| *most >= gap) {
                    continue;
                }
                let movable = given[from.id.as_str()].iter().rev();
                if let Some(place) = movable.into_iter().find(|p| to.topics.contains(&p.0)) {
                    best = Some((gap, &from.id, &to.id, place.clone()));
                }
            }
        }
        let Some((_, from, to, place)) = best else { return };
        if let Some(places) = given.get_mut(from) {
            places.remove(&place);
        }
        if let Some(places) = given.get_mut(to) {
            places.insert(place);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn member(id: &str, topics: &[&str], owned: &[(&str, i32)], generation: i32) -> Candidate {
        Candidate {
            id: id.into(),
            instance_id: None,
            topics: topics.iter().map(|t| (*t).to_owned()).collect(),
            owned: owned.iter().map(|(t, p)| ((*t).to_owned(), *p)).collect(),
            generation,
        }
    }

    fn counts(topics: &[(&str, i32)]) -> BTreeMap<String, i32> {
        topics.iter().map(|(topic, count)| ((*topic).to_owned(), *count)).collect()
    }

    fn shown(given: &BTreeMap<String, Vec<Place>>) -> Vec<String> {
        let places = |places: &[Place]| {
            places.iter().map(|(t, p)| format!("{t}{p}")).collect::<Vec<_>>().join(" ")
        };
        given.iter().map(|(id, all)| format!("{id}: {}", places(all))).collect()
    }

    #[test]
    fn range_gives_runs_and_the_first_ones_more() {
        let members = [member("b", &["t", "u"], &[], 0), member("a", &["t"], &[], 0)];
        let given = Assignor::Range.assign(&members, &counts(&[("t", 3), ("u", 2)]));
        assert_eq!(shown(&given), ["a: t0 t1", "b: t2 u0 u1"]);
    }

    #[test]
    fn what_moves_is_given_to_nobody_first() {
        let all = counts(&[("t", 4)]);
        let owned = [("t", 0), ("t", 1), ("t", 2), ("t", 3)];
        let first = [member("a", &["t"], &owned, 5), member("b", &["t"], &[], -1)];
        let given = Assignor::CooperativeSticky.assign(&first, &all);
        assert_eq!(shown(&given), ["a: t0 t1", "b: "]);
        let second = [member("a", &["t"], &owned[..2], 6), member("b", &["t"], &[], 6)];
        let given = Assignor::CooperativeSticky.assign(&second, &all);
        assert_eq!(shown(&given), ["a: t0 t1", "b: t2 t3"]);
    }

    #[test]
    fn a_claim_of_an_older_generation_yields() {
        let all = counts(&[("t", 2)]);
        let members = [member("a", &["t"], &[("t", 0)], 3), member("b", &["t"], &[("t", 0)], 4)];
        let given = Assignor::CooperativeSticky.assign(&members, &all);
        assert_eq!(shown(&given), ["a: t1", "b: t0"]);
    }
}
