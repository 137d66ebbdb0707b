//! CBOR written item by item, right or wrong. Independent of the crate's own writer.

pub(crate) fn head(major: u8, argument: u64) -> Vec<u8> {
    let be = argument.to_be_bytes();
    let significant = 8 - argument.leading_zeros() as usize / 8;
    if argument < 24 {
        return vec![major << 5 | argument as u8];
    }
    let width = significant.next_power_of_two();
    [&[major << 5 | (24 + width.ilog2() as u8)], &be[8 - width..]].concat()
}

pub(crate) fn uint(value: u64) -> Vec<u8> {
    head(0, value)
}

pub(crate) fn negative(value: i64) -> Vec<u8> {
    head(1, (-1 - value) as u64)
}

pub(crate) fn bytes(value: &[u8]) -> Vec<u8> {
    [&head(2, value.len() as u64), value].concat()
}

pub(crate) fn text(value: &str) -> Vec<u8> {
    [&head(3, value.len() as u64), value.as_bytes()].concat()
}

pub(crate) fn array(items: &[Vec<u8>]) -> Vec<u8> {
    [head(4, items.len() as u64), items.concat()].concat()
}

/// A map with its entries in the order given.
pub(crate) fn map(entries: &[(Vec<u8>, Vec<u8>)]) -> Vec<u8> {
    let entries_bytes: Vec<u8> = entries.iter().flat_map(|(k, v)| [k.clone(), v.clone()].concat()).collect();
    [head(5, entries.len() as u64), entries_bytes].concat()
}

pub(crate) fn tag(number: u64, item: &[u8]) -> Vec<u8> {
    [&head(6, number), item].concat()
}

pub(crate) fn null() -> Vec<u8> {
    vec![0xf6]
}
