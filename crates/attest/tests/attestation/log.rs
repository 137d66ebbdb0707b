//! The log against the definitions of RFC 9162 section 2.1, written down word for word.

use tyto_attest::log::{
    Frontier, Hash, LogError, MAX_LOG_SIZE, NodeSource, Sequencer, Tile, TileId, TileSet, consistency_proof,
    consistency_proof_length, edge_tiles, empty_root, inclusion_proof, inclusion_proof_length, leaf_hash,
    node_hash, root_from_consistency, tiles_for_consistency, tiles_for_inclusion, verify_consistency,
    verify_inclusion,
};
use tyto_pqc::digest::sha3_256;

fn entry(i: usize) -> Vec<u8> {
    vec![i as u8; i % 7]
}

fn entries(count: usize) -> Vec<Vec<u8>> {
    (0..count).map(entry).collect()
}

/// `k` of the definitions.
fn split(n: usize) -> usize {
    n.next_power_of_two() / 2
}

/// `MTH(D[n])`.
fn root(d: &[Vec<u8>]) -> Hash {
    match d {
        [] => sha3_256(&[&[1]]),
        [leaf] => sha3_256(&[&[0], leaf]),
        _ => {
            let (left, right) = d.split_at(split(d.len()));
            sha3_256(&[&[1], &root(left), &root(right)])
        }
    }
}

/// `PATH(m, D[n])`.
fn path(m: usize, d: &[Vec<u8>]) -> Vec<Hash> {
    if d.len() == 1 {
        return Vec::new();
    }
    let (left, right) = d.split_at(split(d.len()));
    let (mut upwards, sibling) =
        if m < left.len() { (path(m, left), root(right)) } else { (path(m - left.len(), right), root(left)) };
    upwards.push(sibling);
    upwards
}

/// `SUBPROOF(m, D[n], b)`.
fn subproof(m: usize, d: &[Vec<u8>], b: bool) -> Vec<Hash> {
    if m == d.len() {
        return if b { Vec::new() } else { vec![root(d)] };
    }
    let (left, right) = d.split_at(split(d.len()));
    let (mut upwards, sibling) = if m <= left.len() {
        (subproof(m, left, b), root(right))
    } else {
        (subproof(m - left.len(), right, false), root(left))
    };
    upwards.push(sibling);
    upwards
}

/// A log of these entries and all its tiles.
fn log(entries: &[Vec<u8>]) -> (Sequencer, TileSet) {
    let mut sequencer = Sequencer::new();
    let tiles = sequencer.append(entries).unwrap().tiles.into_iter().collect();
    (sequencer, tiles)
}

#[test]
fn roots_and_proofs_are_those_of_the_definitions() {
    let all = entries(40);
    for n in 0..=all.len() {
        let d = &all[..n];
        let (sequencer, tiles) = log(d);
        assert_eq!(sequencer.root(), root(d), "{n}");
        for m in 0..n {
            let proof = inclusion_proof(&tiles, m as u64, n as u64).unwrap();
            assert_eq!(proof, path(m, d), "leaf {m} of {n}");
            assert_eq!(inclusion_proof_length(m as u64, n as u64), Ok(proof.len()));
            verify_inclusion(&leaf_hash(&d[m]), m as u64, n as u64, &proof, &root(d)).unwrap();

            let proof = consistency_proof(&tiles, m as u64, n as u64).unwrap();
            assert_eq!(proof, if m == 0 { vec![] } else { subproof(m, d, true) }, "{m} to {n}");
            assert_eq!(consistency_proof_length(m as u64, n as u64), Ok(proof.len()));
            verify_consistency(m as u64, &root(&d[..m]), n as u64, &root(d), &proof).unwrap();
        }
        verify_consistency(n as u64, &root(d), n as u64, &root(d), &[]).unwrap();
    }
}

/// Sizes at which tiles fill, and batches of every shape on the way there.
#[test]
fn batches_restarts_and_tiles_make_one_log() {
    let all = entries(70_000);
    let leaves: Vec<Hash> = all.iter().map(|entry| leaf_hash(entry)).collect();
    let mut by_one = Frontier::new();
    let mut sequencer = Sequencer::new();
    let mut tiles = TileSet::new();
    let batches = [1, 2, 252, 1, 1, 254, 1, 511, 513, 0, 64_000, 3, 4_461];
    for batch in batches {
        let first = sequencer.size() as usize;
        let appended = sequencer.append(&all[first..first + batch]).unwrap();
        assert_eq!((appended.first_index as usize, appended.size as usize), (first, first + batch));
        leaves[first..first + batch].iter().for_each(|leaf| by_one.append(*leaf).unwrap());
        assert_eq!(appended.root, by_one.root());
        for tile in appended.tiles {
            assert_eq!(TileId::in_tree(tile.id().level, tile.id().index, appended.size), Some(tile.id()));
            assert_eq!(Tile::from_bytes(tile.id(), &tile.to_bytes()), Ok(tile.clone()));
            tiles.insert(tile);
        }
        // A restart finds everything in the stored tiles.
        assert_eq!(Sequencer::resume(appended.size, &tiles), Ok(sequencer.clone()));
    }
    let size = sequencer.size();
    assert_eq!(size, 70_000);
    for level in 0..3 {
        let width = |index| TileId::in_tree(level, index, size).map(|id| usize::from(id.width));
        let stored = |index| tiles.get(level, index).map(|tile| tile.hashes().len());
        assert!((0..300).all(|index| width(index) == stored(index)), "level {level}");
    }
    for index in [0, 255, 256, 65_535, 65_536, 69_887, 69_888, 69_999] {
        let proof = inclusion_proof(&tiles, index, size).unwrap();
        verify_inclusion(&leaves[index as usize], index, size, &proof, &sequencer.root()).unwrap();
    }
    // A proof is made from the tiles that are named before, as they are stored, and from no others.
    let fetch = |ids: Vec<TileId>| -> TileSet {
        let stored = ids.into_iter().map(|id| {
            let tile = tiles.get(id.level, id.index).unwrap();
            assert_eq!(tile.id(), id);
            tile.clone()
        });
        stored.collect()
    };
    for (index, of) in [(0, size), (65_536, size), (255, 300), (299, 65_537)] {
        let ids = tiles_for_inclusion(index, of, size).unwrap();
        assert!(ids.len() <= 6, "{} tiles", ids.len());
        assert_eq!(inclusion_proof(&fetch(ids), index, of), inclusion_proof(&tiles, index, of));
        let ids = tiles_for_consistency(index + 1, of, size).unwrap();
        assert_eq!(consistency_proof(&fetch(ids), index + 1, of), consistency_proof(&tiles, index + 1, of));
    }
    let reversed = LogError::SizesReversed { old_size: 300, new_size: 299 };
    assert_eq!(tiles_for_inclusion(0, 300, 299), Err(reversed));
    for old in [1_usize, 255, 256, 257, 4_096, 65_535, 65_536, 65_537, 69_999] {
        let (old_root, old) = (log(&all[..old]).0.root(), old as u64);
        let proof = consistency_proof(&tiles, old, size).unwrap();
        verify_consistency(old, &old_root, size, &sequencer.root(), &proof).unwrap();
        // A proof about an earlier tree is made from the tiles of the later one.
        let proof = inclusion_proof(&tiles, old - 1, old).unwrap();
        verify_inclusion(&leaves[old as usize - 1], old - 1, old, &proof, &old_root).unwrap();
    }
}

#[test]
fn each_way_an_inclusion_proof_can_be_wrong_has_its_name() {
    let d = entries(13);
    let (sequencer, tiles) = log(&d);
    let (leaf, root) = (leaf_hash(&d[5]), sequencer.root());
    let proof = inclusion_proof(&tiles, 5, 13).unwrap();
    let verify = |leaf: &Hash, index, size, proof: &[Hash]| verify_inclusion(leaf, index, size, proof, &root);

    assert_eq!(verify(&leaf, 5, 13, &proof), Ok(()));
    assert_eq!(verify(&leaf, 13, 13, &proof), Err(LogError::IndexOutOfRange { index: 13, size: 13 }));
    assert_eq!(verify(&leaf, 0, 0, &[]), Err(LogError::IndexOutOfRange { index: 0, size: 0 }));
    let size = MAX_LOG_SIZE + 1;
    assert_eq!(verify(&leaf, 5, size, &proof), Err(LogError::SizeOutOfRange { size }));
    let short = LogError::WrongProofLength { expected: 4, actual: 3 };
    assert_eq!(verify(&leaf, 5, 13, &proof[1..]), Err(short));
    let long = LogError::WrongProofLength { expected: 4, actual: 5 };
    assert_eq!(verify(&leaf, 5, 13, &[&proof[..], &[root]].concat()), Err(long));

    let wrong = Err(LogError::WrongRoot);
    assert_eq!(verify(&leaf_hash(&d[4]), 5, 13, &proof), wrong);
    assert_eq!(verify(&leaf, 4, 13, &proof), wrong, "another place of the same depth");
    for i in 0..proof.len() {
        let mut altered = proof.clone();
        altered[i][31] ^= 1;
        assert_eq!(verify(&leaf, 5, 13, &altered), wrong, "hash {i}");
    }
    let mut swapped = proof.clone();
    swapped.swap(0, 1);
    assert_eq!(verify(&leaf, 5, 13, &swapped), wrong);
    // A node cannot be passed off as a leaf.
    let node = node_hash(&leaf_hash(&d[4]), &leaf);
    assert_ne!(verify_inclusion(&leaf_hash(&node), 2, 7, &proof[1..], &root), Ok(()));
}

#[test]
fn each_way_a_consistency_proof_can_be_wrong_has_its_name() {
    let d = entries(13);
    let (sequencer, tiles) = log(&d);
    let (old, new) = (log(&d[..6]).0.root(), sequencer.root());
    let proof = consistency_proof(&tiles, 6, 13).unwrap();
    let verify = |old_size, old: &Hash, new_size, new: &Hash, proof: &[Hash]| {
        verify_consistency(old_size, old, new_size, new, proof)
    };

    assert_eq!(verify(6, &old, 13, &new, &proof), Ok(()));
    assert_eq!(root_from_consistency(6, &old, 13, &proof), Ok(new));
    let reversed = LogError::SizesReversed { old_size: 13, new_size: 6 };
    assert_eq!(verify(13, &new, 6, &old, &proof), Err(reversed));
    let length = |actual| Err(LogError::WrongProofLength { expected: proof.len(), actual });
    assert_eq!(verify(6, &old, 13, &new, &proof[1..]), length(proof.len() - 1));
    assert_eq!(verify(6, &old, 13, &new, &[&proof[..], &[new]].concat()), length(proof.len() + 1));
    assert_eq!(verify(6, &new, 13, &new, &proof), Err(LogError::WrongOldRoot));
    assert_eq!(verify(6, &old, 13, &old, &proof), Err(LogError::WrongNewRoot));
    for i in 0..proof.len() {
        let mut altered = proof.clone();
        altered[i][0] ^= 0x80;
        assert!(verify(6, &old, 13, &new, &altered).is_err(), "hash {i}");
    }

    assert_eq!(verify(13, &new, 13, &old, &[]), Err(LogError::WrongNewRoot));
    assert_eq!(verify(0, &empty_root(), 13, &new, &[]), Ok(()));
    assert_eq!(verify(0, &old, 13, &new, &[]), Err(LogError::WrongOldRoot));
    assert_eq!(verify(0, &empty_root(), 0, &new, &[]), Err(LogError::WrongNewRoot));
    let nothing = Err(LogError::IndexOutOfRange { index: 0, size: 0 });
    assert_eq!(
        verify(0, &empty_root(), 13, &new, &[new]),
        nothing,
        "from the empty tree no proof leads anywhere"
    );
    assert_eq!(
        root_from_consistency(0, &empty_root(), 13, &[]),
        Err(LogError::IndexOutOfRange { index: 0, size: 0 })
    );
}

#[test]
fn what_is_missing_or_damaged_is_named() {
    let d = entries(300);
    let (_, tiles) = log(&d);
    let missing = |path: &str| Some(LogError::MissingTile { path: path.into() });
    assert_eq!(Sequencer::resume(300, &TileSet::new()).err(), missing("tile/0/001.p/44"));
    assert_eq!(inclusion_proof(&TileSet::new(), 3, 300).err(), missing("tile/0/001.p/32"));
    assert_eq!(tiles.node(0, 300).err(), missing("tile/0/001.p/45"));

    let id = edge_tiles(300).unwrap()[0];
    let size =
        LogError::WrongTileSize { path: "tile/0/001.p/44".into(), expected_bytes: 1408, actual_bytes: 1407 };
    assert_eq!(Tile::from_bytes(id, &[0; 1407]), Err(size));
    assert!(Frontier::from_subtrees(5, vec![[0; 32]]).is_err());
    let before = Sequencer::new();
    let mut after = before.clone();
    let long = vec![0; 65_536];
    assert_eq!(
        after.append(&[vec![1], long]).map(drop),
        Err(LogError::EntryTooLarge { max_bytes: 65_535, actual_bytes: 65_536 })
    );
    assert_eq!(after, before, "nothing was appended");
}

#[test]
fn bundles_of_entries_read_back_whole() {
    use tyto_attest::log::EntryBundle;
    let d = [vec![1, 2, 3], vec![], vec![9; 65_535]];
    let mut bytes = Vec::new();
    d.iter().for_each(|entry| EntryBundle::append(&mut bytes, entry).unwrap());
    assert_eq!(bytes[..7], [0, 3, 1, 2, 3, 0, 0]);
    let read = |bytes, width| EntryBundle::entries(bytes, width).map(|entries| entries.len());
    assert_eq!(EntryBundle::entries(&bytes, 3).unwrap(), d.each_ref().map(Vec::as_slice));
    assert_eq!(read(&bytes, 4), Err(LogError::MalformedEntries { entries: 3 }));
    assert_eq!(read(&bytes, 2), Err(LogError::MalformedEntries { entries: 2 }));
    assert_eq!(read(&bytes[..bytes.len() - 1], 3), Err(LogError::MalformedEntries { entries: 2 }));
}
