//! Merkle trees, which are the same in XMSS (FIPS 205 section 6) and in FORS (section 8) up to the addresses.

use tyto_kernels::keccak::{LANES, Words};

use super::address::{Address, each_lane};
use super::hash::{Lockstep, Node, in_lane};

/// The root of the tree over `leaves`, a power of two (algorithms 9 and 15). The authentication path of the leaf
/// `index`, lowest node first, is appended to `path`. `address` is that of a node by height and index.
pub(super) fn root_and_path<const W: usize>(
    hashes: &mut Lockstep<W>,
    address: impl Fn(u32, u32) -> Address,
    leaves: Vec<Node<W>>,
    mut index: usize,
    path: &mut Vec<Node<W>>,
) -> Node<W> {
    let mut nodes = leaves;
    for height in 1.. {
        if nodes.len() == 1 {
            break;
        }
        path.push(nodes[index ^ 1]);
        index /= 2;
        nodes = parents(hashes, |i| address(height, i), &nodes);
    }
    nodes[0]
}

/// The nodes one level higher, eight at a time.
fn parents<const W: usize>(
    hashes: &mut Lockstep<W>,
    address: impl Fn(u32) -> Address,
    nodes: &[Node<W>],
) -> Vec<Node<W>> {
    let pairs = nodes.as_chunks::<2>().0;
    let mut parents = Vec::with_capacity(pairs.len());
    for batch in pairs.chunks(LANES) {
        let first = parents.len();
        let address = each_lane(|lane| address((first + lane) as u32));
        let side = |side: usize| each_lane(|lane| batch[lane.min(batch.len() - 1)][side]);
        let out = hashes.compress(batch.len(), &address, &[side(0), side(1)]);
        parents.extend((0..batch.len()).map(|lane| in_lane(&out, lane)));
    }
    parents
}

/// One leaf and its authentication path, all of it public.
pub(super) struct Branch<'a, const W: usize> {
    pub(super) leaf: Node<W>,
    pub(super) index: usize,
    pub(super) path: &'a [Node<W>],
}

/// The roots that up to eight leaves lead to (algorithms 11 and 17), in trees of one height. `address` is that of a
/// node by lane, height and index in its tree.
pub(super) fn roots_of<const W: usize>(
    hashes: &mut Lockstep<W>,
    address: impl Fn(usize, u32, u32) -> Address,
    branches: &[Branch<'_, W>],
) -> [Words; W] {
    let lanes = branches.len();
    // Lanes without a branch repeat the last one.
    let branch = |lane: usize| &branches[lane.min(lanes - 1)];
    let mut nodes = each_lane(|lane| branch(lane).leaf);
    for (height, level) in (1..).zip(0..branches[0].path.len()) {
        let is_right = |lane: usize| branch(lane).index >> level & 1 == 1;
        let address = each_lane(|lane| {
            let lane = lane.min(lanes - 1);
            address(lane, height, (branch(lane).index >> height) as u32)
        });
        let side =
            |right: bool| {
                each_lane(|lane| {
                    if is_right(lane) == right { in_lane(&nodes, lane) } else { branch(lane).path[level] }
                })
            };
        nodes = hashes.compress(lanes, &address, &[side(false), side(true)]);
    }
    nodes
}
