//! Trace: everything that happened, as one number. Two runs with the same number did the same.

use std::time::Duration;

/// FNV-1a over all events: quick, and this guards against nobody.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Trace(u64);

impl Trace {
    pub(crate) const fn new() -> Self {
        Self(0xcbf2_9ce4_8422_2325)
    }

    pub(crate) fn add(&mut self, at: Duration, node: usize, what: u8, bytes: &[u8]) {
        self.bytes(&at.as_nanos().to_le_bytes());
        self.bytes(&node.to_le_bytes());
        self.bytes(&[what]);
        self.bytes(bytes);
    }

    pub(crate) const fn sum(self) -> u64 {
        self.0
    }

    fn bytes(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = (self.0 ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3);
        }
    }
}
