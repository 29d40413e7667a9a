//! A set of pieces, as it is told to others: one bit a piece, the first piece in the highest bit of the first byte.

/// Which of a spore's pieces there are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pieces {
    of: u32,
    held: u32,
    bits: Vec<u8>,
}

impl Pieces {
    /// None of `of` pieces.
    pub fn none(of: u32) -> Self {
        Self { of, held: 0, bits: vec![0; bytes_of(of)] }
    }

    /// Reads a set of `of` pieces; `None` if that isn't what the bytes are.
    pub fn decode(of: u32, bytes: &[u8]) -> Option<Self> {
        let held = bytes.iter().map(|byte| byte.count_ones()).sum();
        let set = Self { of, held, bits: bytes.to_vec() };
        // bits past the last piece are not set, so that a set has one form
        let excess = (of..of.next_multiple_of(8)).any(|index| set.bit(index));
        (bytes.len() == bytes_of(of) && !excess).then_some(set)
    }

    /// The bits.
    pub fn encode(&self) -> &[u8] {
        &self.bits
    }

    /// Whether a piece is in it.
    pub fn has(&self, index: u32) -> bool {
        index < self.of && self.bit(index)
    }

    /// Adds a piece; one past the end is no piece.
    pub fn insert(&mut self, index: u32) {
        if index < self.of && !self.bit(index) {
            self.bits[index as usize / 8] |= 0x80 >> (index % 8);
            self.held += 1;
        }
    }

    /// Of how many pieces it is a set.
    pub fn count(&self) -> u32 {
        self.of
    }

    /// How many are in it.
    pub fn held(&self) -> u32 {
        self.held
    }

    /// Whether all are.
    pub fn is_full(&self) -> bool {
        self.held == self.of
    }

    /// Those that are not in it, in order.
    pub fn missing(&self) -> impl Iterator<Item = u32> {
        // whole bytes are skipped at once, since this is asked for each piece that is fetched
        let bytes = self.bits.iter().enumerate().filter(|(_, byte)| **byte != 0xff);
        bytes
            .flat_map(|(at, _)| {
                let first = u32::try_from(at * 8).expect("as many as pieces");
                first..first + 8
            })
            .filter(|index| *index < self.of && !self.bit(*index))
    }

    fn bit(&self, index: u32) -> bool {
        self.bits.get(index as usize / 8).is_some_and(|byte| byte & (0x80 >> (index % 8)) != 0)
    }
}

fn bytes_of(pieces: u32) -> usize {
    pieces.div_ceil(8) as usize
}
