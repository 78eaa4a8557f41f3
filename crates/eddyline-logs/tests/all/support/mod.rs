//! Lines with random edits, the same for the same seed.

/// A small generator, good enough to choose edits (Marsaglia, "Xorshift RNGs", 2003).
pub struct Dice(u64);

impl Dice {
    pub fn new(seed: u64) -> Self {
        Dice(seed | 1)
    }

    pub fn below(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 11) as usize % bound
    }
}

/// Bytes that mean something to the parser, and some that mean nothing.
const BYTES: &[u8] = b"\" []\\-:/0159+aZ\r\x00\x1b\x7f\x80\xff.";

/// Edits a line in one to three places: a byte changed, put in or taken out, a stretch doubled, moved or lost.
pub fn mutate(line: &mut Vec<u8>, dice: &mut Dice) {
    for _ in 0..=dice.below(3) {
        let at = dice.below(line.len() + 1);
        let byte = BYTES[dice.below(BYTES.len())];
        let end = (at + dice.below(12)).min(line.len());
        match dice.below(6) {
            0 if at < line.len() => line[at] = byte,
            1 => line.insert(at, byte),
            2 if at < line.len() => drop(line.remove(at)),
            3 => line.truncate(at),
            4 => drop(line.drain(at..end)),
            _ => {
                let stretch = line[at..end].to_vec();
                let to = dice.below(line.len() + 1);
                line.splice(to..to, stretch);
            }
        }
    }
    // One line stays one line.
    line.retain(|&byte| byte != b'\n');
}
