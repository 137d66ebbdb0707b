//! Little helpers for the fixed-width headers of the formats.

/// Takes fixed-width fields off the front of a header whose length was checked.
pub(crate) struct Fields<'a>(pub(crate) &'a [u8]);

impl Fields<'_> {
    pub(crate) fn take<const L: usize>(&mut self) -> [u8; L] {
        let (head, rest) = self.0.split_first_chunk().expect("the caller checked the header's length");
        self.0 = rest;
        *head
    }

    pub(crate) fn u16(&mut self) -> u16 {
        u16::from_le_bytes(self.take())
    }

    pub(crate) fn u32(&mut self) -> u32 {
        u32::from_le_bytes(self.take())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_come_off_in_order_little_endian() {
        let mut fields = Fields(&[1, 2, 3, 4, 5, 6]);
        assert_eq!((fields.u16(), fields.u32()), (0x0201, 0x0605_0403));
    }
}
