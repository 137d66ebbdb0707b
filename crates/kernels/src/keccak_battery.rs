//! One battery of tests for Keccak, instantiated for every backend, against the crates `keccak`, `sha3` and `shake`.

use sha3::{Digest as _, Sha3_256};
use shake::Shake256;
use shake::digest::{ExtendableOutput as _, Update as _, XofReader as _};

use crate::battery::{Rng, for_each_backend};
use crate::keccak::{
    LANES, RATE_BYTES, RATE_WORDS, Sponge, Squeezer, States, Suffix, Words, chain, sha3_256_many,
};
use crate::{Backend, supported};

/// Lengths around every boundary of words and blocks.
const LENGTHS: [usize; 17] = [0, 1, 7, 8, 9, 64, 65, 127, 128, 134, 135, 136, 137, 271, 272, 273, 1000];

fn words(rng: &mut Rng) -> Words {
    // Two values below 2^41 fill 64 bits.
    Words(std::array::from_fn(|_| rng.below_q() << 32 ^ rng.below_q()))
}

fn bytes(rng: &mut Rng, length: usize) -> Vec<u8> {
    (0..length).map(|_| (rng.below_q() >> 7) as u8).collect()
}

fn sha3_256(input: &[u8]) -> [u8; 32] {
    Sha3_256::digest(input).into()
}

fn shake256(input: &[u8], length: usize) -> Vec<u8> {
    let mut hash = Shake256::default();
    hash.update(input);
    let mut output = vec![0; length];
    hash.finalize_xof().read(&mut output);
    output
}

fn lane(words: &[Words], lane: usize) -> Vec<u8> {
    words.iter().flat_map(|words| words.0[lane].to_le_bytes()).collect()
}

fn permutes_every_number_of_lanes(backend: Backend) {
    let mut rng = Rng(21);
    for lanes in 0..=LANES {
        let mut states = States::zero();
        // All zeros, all ones and random states.
        for round in 0..4 {
            states.words_mut().iter_mut().for_each(|w| match round {
                0 => *w = Words::splat(0),
                1 => *w = Words::splat(u64::MAX),
                _ => *w = words(&mut rng),
            });
            let before: Vec<_> = states.words().to_vec();
            states.permute(backend, lanes);
            for lane in 0..lanes {
                let mut state: [u64; 25] = std::array::from_fn(|i| before[i].0[lane]);
                keccak::Keccak::new().with_f1600(|f1600| f1600(&mut state));
                let found: [u64; 25] = std::array::from_fn(|i| states.words()[i].0[lane]);
                assert_eq!(found, state, "lane {lane} of {lanes}");
            }
        }
    }
}

fn hashes_many_inputs(backend: Backend) {
    let mut rng = Rng(22);
    // Equal lengths, for every number of inputs around the lanes.
    for count in (0..=LANES + 1).chain([2 * LANES, 3 * LANES - 1]) {
        for length in LENGTHS {
            let inputs: Vec<_> = (0..count).map(|_| bytes(&mut rng, length)).collect();
            let found = sha3_256_many(backend, inputs.iter().map(|input| [&input[..]]));
            let expected: Vec<_> = inputs.iter().map(|input| sha3_256(input)).collect();
            assert_eq!(found, expected, "{count} inputs of {length} bytes");
        }
    }
    // Different lengths side by side, in parts that are cut anywhere.
    let inputs: Vec<_> = LENGTHS.iter().chain(LENGTHS.iter().rev()).map(|&n| bytes(&mut rng, n)).collect();
    let expected: Vec<_> = inputs.iter().map(|input| sha3_256(input)).collect();
    for cut in [0, 1, 8, 135, 136, 137, 500] {
        let parts = |input: &'_ Vec<u8>| -> [usize; 2] { [cut.min(input.len()), (2 * cut).min(input.len())] };
        let found = sha3_256_many(
            backend,
            inputs.iter().map(|input| {
                let [first, second] = parts(input);
                [&input[..first], &input[first..second], &input[second..]]
            }),
        );
        assert_eq!(found, expected, "cut at {cut}");
    }
}

fn squeezes_any_length(backend: Backend) {
    const BLOCKS: usize = 4;
    let mut rng = Rng(23);
    for count in 0..=LANES {
        for length in LENGTHS {
            let inputs: Vec<_> = (0..count).map(|_| bytes(&mut rng, length)).collect();
            let parts: Vec<_> =
                inputs.iter().map(|input| [&input[..length / 2], &input[length / 2..]]).collect();
            let mut squeezer = Squeezer::shake256(backend, &parts);
            let mut found = vec![Vec::<u8>::new(); count];
            let mut append = |blocks: Vec<&[u8]>| {
                found.iter_mut().zip(blocks).for_each(|(found, block)| found.extend(block));
            };
            let mut one = vec![[[0; RATE_BYTES]; 1]; count];
            squeezer.next_blocks(&mut one);
            append(one.iter().map(|blocks| blocks.as_flattened()).collect());
            let mut others = vec![[[0; RATE_BYTES]; BLOCKS - 1]; count];
            squeezer.next_blocks(&mut others);
            append(others.iter().map(|blocks| blocks.as_flattened()).collect());
            for (input, found) in inputs.iter().zip(found) {
                assert_eq!(found, shake256(input, BLOCKS * RATE_BYTES), "{count} inputs of {length} bytes");
            }
        }
    }
}

fn absorbs_words_in_lockstep(backend: Backend) {
    let mut rng = Rng(24);
    for lanes in [1, 4, 5, LANES] {
        for length in [0, 1, 15, 16, 17, 18, 33, 34, 35, 76] {
            let input: Vec<_> = (0..length).map(|_| words(&mut rng)).collect();
            let common = [rng.below_q(), rng.below_q()];
            for suffix in [Suffix::Sha3, Suffix::Shake] {
                let mut sponge = Sponge::new(backend, lanes);
                sponge.absorb_all(&common);
                sponge.absorb(&input);
                let output = sponge.finish(suffix);
                assert_eq!(output.len(), RATE_WORDS);
                for i in 0..lanes {
                    let plain = [common.map(u64::to_le_bytes).concat(), lane(&input, i)].concat();
                    let found = lane(output, i);
                    match suffix {
                        Suffix::Sha3 => assert_eq!(found[..32], sha3_256(&plain)),
                        Suffix::Shake => assert_eq!(found, shake256(&plain, RATE_BYTES)),
                    }
                }
            }
        }
    }
}

/// A chain of the parameter sets with `n = 8 W`, step by step.
fn chains_of<const W: usize>(backend: Backend, rng: &mut Rng) {
    for (lanes, steps) in [(LANES, 15), (LANES, 1), (LANES, 0), (3, 4), (1, 2), (5, 3), (0, 2)] {
        let mut block = States::zero();
        let input = 2 * W + 4;
        for word in &mut block.words_mut()[..W + 4] {
            *word = words(rng);
        }
        // A hash address that leaves room for the steps.
        for word in &mut block.words_mut()[W + 3].0 {
            *word &= u64::MAX >> 4;
        }
        block.words_mut()[input] = Words::splat(0x1F);
        block.words_mut()[RATE_WORDS - 1].0.iter_mut().for_each(|word| *word |= 1 << 63);
        let mut values = vec![[Words::default(); W]; steps + 1];
        values[0] = std::array::from_fn(|_| words(rng));
        chain(backend, &block, lanes, &mut values);
        for i in 0..lanes {
            let mut value = lane(&values[0], i);
            for (step, found) in values[1..].iter().enumerate() {
                let mut plain = lane(&block.words()[..W + 4], i);
                plain[8 * W + 31] += step as u8;
                plain.extend(&value);
                value = shake256(&plain, 8 * W);
                assert_eq!(lane(found, i), value, "lane {i} of {lanes}, step {step}, {W} words");
            }
        }
    }
}

fn iterates_chains(backend: Backend) {
    let mut rng = Rng(25);
    chains_of::<2>(backend, &mut rng);
    chains_of::<3>(backend, &mut rng);
    chains_of::<4>(backend, &mut rng);
}

for_each_backend!({
    permutes_every_number_of_lanes,
    hashes_many_inputs,
    squeezes_any_length,
    absorbs_words_in_lockstep,
    iterates_chains,
});

#[test]
fn every_supported_backend_permutes() {
    let ran: Vec<_> = INSTANTIATED.iter().copied().filter(|backend| backend.is_supported()).collect();
    let names: Vec<_> = ran.iter().map(ToString::to_string).collect();
    println!("backends that ran Keccak: {}", names.join(", "));
    assert_eq!(ran, supported());
}

#[test]
#[should_panic(expected = "inputs of different lengths")]
fn inputs_of_different_lengths_are_not_squeezed_together() {
    Squeezer::shake256(Backend::Portable, &[[&[1][..]], [&[][..]]]);
}

#[test]
#[should_panic(expected = "9 lanes")]
fn more_lanes_than_there_are_is_refused() {
    Sponge::new(Backend::Portable, LANES + 1);
}

#[test]
fn words_stay_out_of_debug_output() {
    assert_eq!(format!("{:?}", Words::splat(41)), "Words(..)");
}
