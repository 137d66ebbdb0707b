//! Numbers that are wiped when they are dropped.

use std::fmt;
use std::ops::{Deref, DerefMut};

use zeroize::Zeroize;

mod sealed {
    pub trait Number: Copy + Default {}
    impl Number for u8 {}
    impl Number for u16 {}
    impl Number for u64 {}
}
use sealed::Number;

/// Secret numbers on the heap, zeros at first. Wiped on drop, eight bytes at a time: wiping small numbers one by one
/// takes longer than drawing them.
pub struct Wiped<T: Number>(Box<[T]>);

impl<T: Number> Wiped<T> {
    /// `count` zeros.
    pub fn zeros(count: usize) -> Self {
        Self(vec![T::default(); count].into_boxed_slice())
    }
}

impl<T: Number> Clone for Wiped<T> {
    // From heap to heap.
    fn clone(&self) -> Self {
        let mut copy = Self::zeros(self.len());
        copy.copy_from_slice(self);
        copy
    }
}

impl<T: Number> Deref for Wiped<T> {
    type Target = [T];

    fn deref(&self) -> &[T] {
        &self.0
    }
}

impl<T: Number> DerefMut for Wiped<T> {
    fn deref_mut(&mut self) -> &mut [T] {
        &mut self.0
    }
}

impl<T: Number> Drop for Wiped<T> {
    fn drop(&mut self) {
        // SAFETY: `Number` is sealed, and its types are integers: they have no padding, and any bytes of theirs are
        // valid bytes and valid 64-bit integers.
        let (front, words, back) = unsafe {
            let (front, words, back) = self.0.align_to_mut::<u64>();
            (front.align_to_mut::<u8>().1, words, back.align_to_mut::<u8>().1)
        };
        front.zeroize();
        words.zeroize();
        back.zeroize();
    }
}

impl<T: Number> fmt::Debug for Wiped<T> {
    /// Never shows content.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Wiped(..)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn copies_are_equal_and_content_stays_out_of_debug_output() {
        for count in [0, 1, 3, 4, 7, 4096] {
            let mut numbers = Wiped::<u16>::zeros(count);
            numbers.iter_mut().for_each(|number| *number = 41);
            assert_eq!(*numbers.clone(), *vec![41; count]);
            assert_eq!(format!("{numbers:?}"), "Wiped(..)");
        }
    }
}
