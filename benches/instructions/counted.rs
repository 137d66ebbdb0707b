//! Which code is counted.

use std::hint::black_box;

/// What Callgrind counts: everything from the call of this function to its return. Callgrind finds it by its name,
/// so it must stay a function of its own, and no other function may have a name like it.
#[inline(never)]
fn counted_work(work: &mut dyn FnMut()) {
    work();
    // Not a tail call: a jump would leave the function before the work begins.
    black_box(());
}

/// Does some work twice, each time on an input of its own, and checks its outcome. The first time warms up what is
/// made only once in a process, such as tables; the second time is counted. Prints the name, so that the order of the
/// names is that of the counts.
pub(crate) fn path<I, O>(name: &str, input: impl Fn() -> I, work: impl Fn(I) -> O, check: impl Fn(&O)) {
    check(&work(input()));
    let mut input = Some(black_box(input()));
    let mut output = None;
    counted_work(&mut || output = input.take().map(&work));
    check(&output.expect("there was an input"));
    println!("{name}");
}
