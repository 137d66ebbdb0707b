//! One-time signatures WOTS+ (FIPS 205 section 5).

use tyto_kernels::keccak::{LANES, Words};
use zeroize::Zeroizing;

use super::address::{Subtree, each_lane};
use super::digits::{STEPS, wots_digits};
use super::hash::{Lockstep, Node, in_lane, to_bytes};
use super::params::Parameters;

/// Every value of every chain of one key: its first values are the private key, its last the public one.
pub(super) type Chains<const W: usize> = Zeroizing<Vec<[Node<W>; STEPS + 1]>>;

/// The compressed public keys of eight key pairs in a row (algorithm 6), in lockstep. If one of them is to sign, by
/// its place in the row, all values of its chains are given too.
pub(super) fn public_keys<const W: usize>(
    hashes: &mut Lockstep<W>,
    parameters: &Parameters,
    sk_seed: &Node<W>,
    at: Subtree,
    first: u32,
    signer: Option<usize>,
) -> ([Words; W], Option<Chains<W>>) {
    let key_pair = |lane: usize| first + lane as u32;
    // SK.seed, and the chain that grows from it.
    let mut values = Zeroizing::new([[Words::default(); W]; STEPS + 2]);
    values[0] = sk_seed.map(Words::splat);
    let mut kept: Option<Chains<W>> = signer.map(|_| Zeroizing::new(Vec::with_capacity(parameters.len())));
    hashes.begin(LANES, &each_lane(|lane| at.wots_pk(key_pair(lane))));
    for chain in 0..parameters.len() as u32 {
        hashes.chain(LANES, &each_lane(|lane| at.wots_prf(key_pair(lane), chain)), &mut values[..2]);
        hashes.chain(LANES, &each_lane(|lane| at.wots_hash(key_pair(lane), chain, 0)), &mut values[1..]);
        hashes.absorb(&values[STEPS + 1]);
        if let (Some(lane), Some(kept)) = (signer, &mut kept) {
            kept.push(core::array::from_fn(|step| in_lane(&values[step + 1], lane)));
        }
    }
    (hashes.end(), kept)
}

/// Signs a value (algorithm 7) with a key whose chains are given: of each chain the value that the digit names.
pub(super) fn sign<const W: usize>(chains: &Chains<W>, message: &Node<W>, signature: &mut Vec<Node<W>>) {
    // The digits are public: whoever has the signature computes them from what is signed.
    let digits = wots_digits(&to_bytes(&[*message]));
    signature.extend(chains.iter().zip(digits).map(|(chain, digit)| chain[digit]));
}

/// The compressed public key that a signature leads to (algorithm 8), eight chains in lockstep.
pub(super) fn public_key_from_signature<const W: usize>(
    hashes: &mut Lockstep<W>,
    at: Subtree,
    key_pair: u32,
    signature: &[Node<W>],
    message: &Node<W>,
) -> Node<W> {
    let digits = wots_digits(&to_bytes(&[*message]));
    // Chains with about as many steps to go side by side.
    let mut order: Vec<usize> = (0..digits.len()).collect();
    order.sort_unstable_by_key(|&chain| digits[chain]);
    let mut ends = vec![[0; W]; digits.len()];
    let mut values = [[Words::default(); W]; STEPS + 1];
    for batch in order.chunks(LANES) {
        let chain = |lane: usize| batch[lane.min(batch.len() - 1)];
        let address =
            each_lane(|lane| at.wots_hash(key_pair, chain(lane) as u32, digits[chain(lane)] as u32));
        values[0] = each_lane(|lane| signature[chain(lane)]);
        let longest = STEPS - digits[batch[0]];
        hashes.chain(batch.len(), &address, &mut values[..=longest]);
        for (lane, &chain) in batch.iter().enumerate() {
            ends[chain] = in_lane(&values[STEPS - digits[chain]], lane);
        }
    }
    hashes.compress_one(&at.wots_pk(key_pair), &ends)
}
