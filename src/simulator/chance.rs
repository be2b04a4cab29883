//! Repeatable chance: numbers that look random and depend on nothing but the seed and what they are asked about.
//!
//! Nothing here is meant to be unguessable; tokens and codes come from `rand`.

/// A source of numbers that answers the same question with the same number.
#[derive(Clone, Copy, Debug)]
pub(super) struct Dice(u64);

impl Dice {
    pub(super) fn new(seed: u64) -> Self {
        Self(scatter(seed))
    }

    /// Another source, independent of this one, for the topic `name`.
    pub(super) fn about(self, name: &str) -> Self {
        Self(name.bytes().fold(self.0, |state, byte| scatter(state ^ u64::from(byte))))
    }

    /// 64 evenly distributed bits for these `parts`.
    pub(super) fn roll(self, parts: &[u64]) -> u64 {
        parts.iter().fold(self.0, |state, part| scatter(state ^ scatter(*part)))
    }

    /// A number below `bound` (0 if there is no such number).
    pub(super) fn below(self, bound: u64, parts: &[u64]) -> u64 {
        self.roll(parts).checked_rem(bound).unwrap_or(0)
    }
}

/// The finishing steps of the splitmix64 generator: every input bit reaches every output bit.
fn scatter(value: u64) -> u64 {
    let mut mixed = value.wrapping_add(0x9e37_79b9_7f4a_7c15);
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ (mixed >> 31)
}

/// A one-to-one reordering of the numbers below 2^[`Shuffle::BITS`], and its way back.
#[derive(Clone, Copy, Debug)]
pub(super) struct Shuffle {
    rounds: [Round; 3],
}

#[derive(Clone, Copy, Debug)]
struct Round {
    factor: u32,
    inverse: u32,
    offset: u32,
}

impl Shuffle {
    pub(super) const BITS: u32 = 21;
    const MASK: u32 = (1 << Self::BITS) - 1;
    /// At least half of the bits, so that the step which shifts by it undoes itself.
    const FOLD: u32 = 11;

    pub(super) fn new(dice: Dice) -> Self {
        Self {
            rounds: [0, 1, 2].map(|round| {
                let bits = dice.roll(&[round]);
                let factor = low_bits(bits) | 1;
                Round { factor, inverse: inverse_of_odd(factor), offset: low_bits(bits >> 32) }
            }),
        }
    }

    pub(super) fn apply(self, number: u32) -> u32 {
        self.rounds.iter().fold(number & Self::MASK, |value, round| {
            let mixed = value.wrapping_mul(round.factor).wrapping_add(round.offset) & Self::MASK;
            mixed ^ (mixed >> Self::FOLD)
        })
    }

    pub(super) fn undo(self, number: u32) -> u32 {
        self.rounds.iter().rev().fold(number & Self::MASK, |value, round| {
            let unfolded = value ^ (value >> Self::FOLD);
            unfolded.wrapping_sub(round.offset).wrapping_mul(round.inverse) & Self::MASK
        })
    }
}

fn low_bits(bits: u64) -> u32 {
    u32::try_from(bits & u64::from(Shuffle::MASK)).unwrap_or(0)
}

/// The number that multiplied with the odd `factor` gives 1 (mod 2^32), by Newton's iteration.
fn inverse_of_odd(factor: u32) -> u32 {
    (0..5).fold(factor, |guess, _| guess.wrapping_mul(2u32.wrapping_sub(factor.wrapping_mul(guess))))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_shuffle_is_one_to_one() {
        let shuffle = Shuffle::new(Dice::new(7));
        let mut seen = vec![false; 1 << Shuffle::BITS];
        for number in 0..1u32 << Shuffle::BITS {
            let moved = shuffle.apply(number);
            assert_eq!(shuffle.undo(moved), number);
            assert!(!std::mem::replace(&mut seen[moved as usize], true));
        }
    }
}
