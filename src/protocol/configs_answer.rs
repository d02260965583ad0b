//! The answer to DescribeConfigs, written resource by resource: all of them as structs would be
//! many times its size.

use super::message::write::{DescribeConfigsResponse, describe_configs::DescribeConfigsResult};
use super::message::{Message as _, Put as _};
use super::writer::Writer;

/// A DescribeConfigsResponse on its way into a writer.
#[derive(Debug)]
pub struct ConfigsAnswer<'w> {
    writer: &'w mut Writer,
    results_left: usize,
}

impl<'w> ConfigsAnswer<'w> {
    /// Begins the body of an answer for `result_count` resources.
    pub fn begin(writer: &'w mut Writer, version: i16, result_count: usize) -> Self {
        assert!(DescribeConfigsResponse::VERSIONS.contains(&version));
        writer.set_version(version, DescribeConfigsResponse::FLEXIBLE_FROM);
        writer.i32(0); // throttle_time_ms
        writer.len(Some(result_count));
        Self { writer, results_left: result_count }
    }

    /// Bytes of the answer so far.
    pub fn bytes(&self) -> usize {
        self.writer.as_bytes().len()
    }

    /// The next resource.
    pub fn result(&mut self, result: &DescribeConfigsResult<'_>) {
        self.results_left = self.results_left.checked_sub(1).expect("begin announced it");
        result.put(self.writer);
    }

    /// Ends the body.
    pub fn end(self) {
        assert!(self.results_left == 0);
        let tags = self.writer.tags_begin();
        self.writer.tags_end(tags);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::Encode as _;
    use crate::protocol::random::{Random as _, Seed};

    #[test]
    fn the_streamed_answer_is_the_generated_one() {
        for version in DescribeConfigsResponse::VERSIONS {
            for seed in 0..50 {
                let mut whole = DescribeConfigsResponse::random(&mut Seed(seed), version);
                whole.throttle_time_ms = 0;
                let mut expected = Writer::new();
                whole.encode(version, &mut expected);
                let mut writer = Writer::new();
                let mut answer = ConfigsAnswer::begin(&mut writer, version, whole.results.len());
                whole.results.iter().for_each(|result| answer.result(result));
                answer.end();
                assert_eq!(writer.as_bytes(), expected.as_bytes(), "version {version} seed {seed}");
            }
        }
    }
}
