"""Merkle trees of the shape of RFC 9162 section 2.1, with SHA3-256 and prefixes of their own."""

import hashlib

from .errors import require

LOG_LEAF, LOG_NODE, GALLERY_LEAF, GALLERY_NODE = b"\x00", b"\x01", b"\x02", b"\x03"
PART = "receipt"


def sha3(data: bytes) -> bytes:
    return hashlib.sha3_256(data).digest()


def leaf_hash(entry: bytes) -> bytes:
    return sha3(LOG_LEAF + entry)


def node(left: bytes, right: bytes) -> bytes:
    return sha3(LOG_NODE + left + right)


def tree_root(contents: list[bytes], leaf_prefix: bytes, node_prefix: bytes) -> bytes:
    if not contents:
        return sha3(node_prefix)
    if len(contents) == 1:
        return sha3(leaf_prefix + contents[0])
    split = 1 << (len(contents) - 1).bit_length() - 1
    left = tree_root(contents[:split], leaf_prefix, node_prefix)
    return sha3(node_prefix + left + tree_root(contents[split:], leaf_prefix, node_prefix))


def blocks_root(blocks: list[tuple[bytes, int]]) -> bytes:
    contents = [block_id + version.to_bytes(8, "big") for block_id, version in blocks]
    return tree_root(contents, GALLERY_LEAF, GALLERY_NODE)


def root_of_inclusion(leaf: bytes, index: int, size: int, path: list[bytes]) -> bytes:
    """RFC 9162 section 2.1.3.2, to the root that the proof leads to."""
    require(index < size, PART, "leaf-index")
    fn, sn, root = index, size - 1, leaf
    for sibling in path:
        require(sn != 0, PART, "proof-length", "too long")
        if fn & 1 or fn == sn:
            root = node(sibling, root)
            while not fn & 1 and fn != 0:
                fn, sn = fn >> 1, sn >> 1
        else:
            root = node(root, sibling)
        fn, sn = fn >> 1, sn >> 1
    require(sn == 0, PART, "proof-length", "too short")
    return root


def check_consistency(old_size: int, old_root: bytes, size: int, root: bytes, path: list[bytes]) -> None:
    """RFC 9162 section 2.1.4.2, for an old tree that is not empty."""
    require(0 < old_size <= size, PART, "leaf-index", "not an earlier tree")
    if old_size == size:
        require(not path, PART, "proof-length", "too long")
        require(old_root == root, PART, "root")
        return
    require(bool(path), PART, "proof-length", "too short")
    if old_size & old_size - 1 == 0:
        path = [old_root, *path]
    fn, sn = old_size - 1, size - 1
    while fn & 1:
        fn, sn = fn >> 1, sn >> 1
    old = new = path[0]
    for sibling in path[1:]:
        require(sn != 0, PART, "proof-length", "too long")
        if fn & 1 or fn == sn:
            old, new = node(sibling, old), node(sibling, new)
            while not fn & 1 and fn != 0:
                fn, sn = fn >> 1, sn >> 1
        else:
            new = node(new, sibling)
        fn, sn = fn >> 1, sn >> 1
    require(sn == 0, PART, "proof-length", "too short")
    require(old == old_root, PART, "old-root")
    require(new == root, PART, "root")
