//! Random messages for tests: the same seed gives the same message.

#![allow(dead_code, reason = "every primitive has its source, whether a schema uses it yet or not")]

use super::writer::RecordsGap;
use crate::model::Uuid;
use std::borrow::Cow;

/// A source of values (SplitMix64).
pub struct Seed(pub u64);

/// A message of random content that one version can carry whole.
pub trait Random {
    fn random(seed: &mut Seed, version: i16) -> Self;
}

impl Seed {
    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    pub fn below(&mut self, end: usize) -> usize {
        (self.next() % end as u64) as usize
    }

    /// A number that is often small and often an extreme.
    fn number(&mut self) -> i64 {
        match self.below(4) {
            0 => self.below(3) as i64 - 1,
            1 => i64::from(self.next() as i8),
            2 => i64::MIN,
            _ => self.next() as i64,
        }
    }

    pub fn bool(&mut self) -> bool {
        self.below(2) == 0
    }

    pub fn i8(&mut self) -> i8 {
        self.number() as i8
    }

    pub fn i16(&mut self) -> i16 {
        self.number() as i16
    }

    pub fn i32(&mut self) -> i32 {
        self.number() as i32
    }

    pub fn i64(&mut self) -> i64 {
        self.number()
    }

    pub fn u16(&mut self) -> u16 {
        self.number() as u16
    }

    pub fn u32(&mut self) -> u32 {
        self.number() as u32
    }

    pub fn f64(&mut self) -> f64 {
        self.number() as f64
    }

    pub fn uuid(&mut self) -> Uuid {
        let mut bytes = [0; 16];
        if self.bool() {
            bytes[..8].copy_from_slice(&self.next().to_be_bytes());
            bytes[8..].copy_from_slice(&self.next().to_be_bytes());
        }
        Uuid(bytes)
    }

    /// Now and then longer than one byte of a varint can say.
    pub fn string(&mut self) -> Cow<'static, str> {
        let len = if self.below(8) == 0 { 130 } else { self.below(5) };
        (0..len)
            .map(|_| ['a', 'z', '\u{fc}', '\u{1f980}'][self.below(4)])
            .collect::<String>()
            .into()
    }

    pub fn bytes(&mut self) -> Cow<'static, [u8]> {
        let len = if self.below(8) == 0 { 300 } else { self.below(5) };
        (0..len).map(|_| self.next() as u8).collect::<Vec<_>>().into()
    }

    pub fn records(&mut self) -> RecordsGap {
        match self.below(200) {
            0 => RecordsGap::default(),
            len => RecordsGap { len, tag: len },
        }
    }

    pub fn maybe<T>(&mut self, value: impl FnOnce(&mut Self) -> T) -> Option<T> {
        self.bool().then(|| value(self))
    }

    pub fn many<T>(&mut self, mut value: impl FnMut(&mut Self) -> T) -> Vec<T> {
        (0..self.below(4)).map(|_| value(self)).collect()
    }
}
