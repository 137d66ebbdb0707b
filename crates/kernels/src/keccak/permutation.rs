//! Keccak-f\[1600\] (FIPS 202 section 3) on the lanes of a register: one body, which every backend instantiates with
//! instructions of its own.

#![expect(
    clippy::inline_always,
    reason = "each is an instruction or two of one unrolled permutation; a call would cost more and lose the target features"
)]

use super::{LANES, STATE_WORDS, States, Words};

const ROUNDS: usize = 24;

/// `RC` of FIPS 202 section 3.2.5.
const ROUND_CONSTANTS: [u64; ROUNDS] = [
    0x0000_0000_0000_0001,
    0x0000_0000_0000_8082,
    0x8000_0000_0000_808A,
    0x8000_0000_8000_8000,
    0x0000_0000_0000_808B,
    0x0000_0000_8000_0001,
    0x8000_0000_8000_8081,
    0x8000_0000_0000_8009,
    0x0000_0000_0000_008A,
    0x0000_0000_0000_0088,
    0x0000_0000_8000_8009,
    0x0000_0000_8000_000A,
    0x0000_0000_8000_808B,
    0x8000_0000_0000_008B,
    0x8000_0000_0000_8089,
    0x8000_0000_0000_8003,
    0x8000_0000_0000_8002,
    0x8000_0000_0000_0080,
    0x0000_0000_0000_800A,
    0x8000_0000_8000_000A,
    0x8000_0000_8000_8081,
    0x8000_0000_0000_8080,
    0x0000_0000_8000_0001,
    0x8000_0000_8000_8008,
];

/// What Keccak needs of a register of 64-bit lanes. The token that implements it proves that the CPU has the
/// instructions. Everything is inlined into one function per backend and operation that is compiled for them.
pub(crate) trait Registers: Copy {
    /// A register.
    type Register: Copy;
    /// Lanes of a register; a divisor of [`LANES`].
    const WIDTH: usize;

    /// The lanes from `at` on.
    fn load(self, words: &Words, at: usize) -> Self::Register;
    /// Writes the lanes from `at` on.
    fn store(self, register: Self::Register, words: &mut Words, at: usize);
    /// The same word in every lane.
    fn splat(self, word: u64) -> Self::Register;
    /// `a + b`, modulo 2^64.
    fn add(self, a: Self::Register, b: Self::Register) -> Self::Register;
    /// `a ^ b`.
    fn xor(self, a: Self::Register, b: Self::Register) -> Self::Register;
    /// `a ^ b ^ c`.
    fn xor3(self, a: Self::Register, b: Self::Register, c: Self::Register) -> Self::Register {
        self.xor(self.xor(a, b), c)
    }
    /// `a ^ (!b & c)`.
    fn chi(self, a: Self::Register, b: Self::Register, c: Self::Register) -> Self::Register;
    /// Rotation to the left by `BITS`, from 1 to 63.
    fn rotate<const BITS: i32>(self, a: Self::Register) -> Self::Register;
}

/// The step mapping chi (FIPS 202 section 3.2.4) on one plane.
#[inline(always)]
fn chi<R: Registers>(r: R, [a, b, c, d, e]: [R::Register; 5]) -> [R::Register; 5] {
    [r.chi(a, b, c), r.chi(b, c, d), r.chi(c, d, e), r.chi(d, e, a), r.chi(e, a, b)]
}

/// One round; lane (x, y) of FIPS 202 is `a[x + 5 y]`.
#[inline(always)]
fn round<R: Registers>(r: R, mut a: [R::Register; STATE_WORDS], constant: u64) -> [R::Register; STATE_WORDS] {
    // theta, section 3.2.1
    let parity: [_; 5] =
        std::array::from_fn(|x| r.xor3(r.xor3(a[x], a[x + 5], a[x + 10]), a[x + 15], a[x + 20]));
    for x in 0..5 {
        let d = r.xor(parity[(x + 4) % 5], r.rotate::<1>(parity[(x + 1) % 5]));
        for y in 0..5 {
            a[x + 5 * y] = r.xor(a[x + 5 * y], d);
        }
    }
    // rho and pi, sections 3.2.2 and 3.2.3, then chi, plane by plane
    let [first, b1, b2, b3, b4] = chi(
        r,
        [a[0], r.rotate::<44>(a[6]), r.rotate::<43>(a[12]), r.rotate::<21>(a[18]), r.rotate::<14>(a[24])],
    );
    let [b5, b6, b7, b8, b9] = chi(
        r,
        [
            r.rotate::<28>(a[3]),
            r.rotate::<20>(a[9]),
            r.rotate::<3>(a[10]),
            r.rotate::<45>(a[16]),
            r.rotate::<61>(a[22]),
        ],
    );
    let [b10, b11, b12, b13, b14] = chi(
        r,
        [
            r.rotate::<1>(a[1]),
            r.rotate::<6>(a[7]),
            r.rotate::<25>(a[13]),
            r.rotate::<8>(a[19]),
            r.rotate::<18>(a[20]),
        ],
    );
    let [b15, b16, b17, b18, b19] = chi(
        r,
        [
            r.rotate::<27>(a[4]),
            r.rotate::<36>(a[5]),
            r.rotate::<10>(a[11]),
            r.rotate::<15>(a[17]),
            r.rotate::<56>(a[23]),
        ],
    );
    let [b20, b21, b22, b23, b24] = chi(
        r,
        [
            r.rotate::<62>(a[2]),
            r.rotate::<55>(a[8]),
            r.rotate::<39>(a[14]),
            r.rotate::<41>(a[15]),
            r.rotate::<2>(a[21]),
        ],
    );
    // iota, section 3.2.5
    let b0 = r.xor(first, r.splat(constant));
    [
        b0, b1, b2, b3, b4, b5, b6, b7, b8, b9, b10, b11, b12, b13, b14, b15, b16, b17, b18, b19, b20, b21,
        b22, b23, b24,
    ]
}

#[inline(always)]
fn permuted<R: Registers>(r: R, mut state: [R::Register; STATE_WORDS]) -> [R::Register; STATE_WORDS] {
    for constant in ROUND_CONSTANTS {
        state = round(r, state, constant);
    }
    state
}

/// See `Kernel::permute_states`.
#[inline(always)]
pub(crate) fn permute<R: Registers>(r: R, states: &mut States, lanes: usize) {
    assert!(lanes <= LANES);
    for at in (0..lanes).step_by(R::WIDTH) {
        let state = permuted(r, std::array::from_fn(|i| r.load(&states.0[i], at)));
        for (words, register) in states.0.iter_mut().zip(state) {
            r.store(register, words, at);
        }
    }
}

/// See [`super::chain`].
#[inline(always)]
pub(crate) fn chain<R: Registers, const W: usize>(
    r: R,
    block: &States,
    lanes: usize,
    values: &mut [[Words; W]],
) {
    assert!(lanes <= LANES && (1..=5).contains(&W));
    let Some((first, rest)) = values.split_first_mut() else { return };
    for at in (0..lanes).step_by(R::WIDTH) {
        let mut value: [_; W] = std::array::from_fn(|i| r.load(&first[i], at));
        for (step, out) in (0_u64..).zip(rest.iter_mut()) {
            let mut state = std::array::from_fn(|i| r.load(&block.0[i], at));
            state[W + 3] = r.add(state[W + 3], r.splat(step << 56));
            state[W + 4..2 * W + 4].copy_from_slice(&value);
            let state = permuted(r, state);
            value.copy_from_slice(&state[..W]);
            for (words, register) in out.iter_mut().zip(value) {
                r.store(register, words, at);
            }
        }
    }
}
