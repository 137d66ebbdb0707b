//! The memory of blocks goes back to the system. Alone in its process, so that nothing else takes or frees any.

#[cfg(target_os = "linux")]
#[test]
fn dropped_blocks_give_their_memory_back() {
    use tyto_kernels::{NttPoly, PackedBlock};

    fn resident_bytes() -> usize {
        let statm = std::fs::read_to_string("/proc/self/statm").expect("Linux has it");
        let pages: usize = statm.split(' ').nth(1).expect("the second field").parse().expect("a number");
        pages * 4096
    }

    let before = resident_bytes();
    let mut block = PackedBlock::new(16);
    (0..16).for_each(|c| block.set(c, &NttPoly::constant(c as u64)));
    let mut blocks = vec![block; 400];
    let bytes = blocks.len() * blocks[0].bytes();
    assert!(resident_bytes() >= before + bytes, "what was written is resident");
    // The first half is replaced again and again, as by enrolments: that takes no more memory.
    let replaced = resident_bytes();
    for _ in 0..10 {
        let copy = blocks[399].clone();
        blocks[..200].iter_mut().for_each(|block| *block = copy.clone());
    }
    assert!(resident_bytes() < replaced + (4 << 20));
    // A few that are left keep their huge pages only, beside what is kept for the next blocks.
    let copy = blocks[0].clone();
    blocks.resize_with(1000, || copy.clone());
    assert!(resident_bytes() >= before + 1000 * copy.bytes());
    let mut number = 0;
    blocks.retain(|_| {
        number += 1;
        number % 250 == 0
    });
    assert!(resident_bytes() < before + (64 << 20) + (24 << 20));
    let idle = PackedBlock::idle_bytes(16, 0);
    assert!(idle < (64 << 20) + (24 << 20) && idle > 100 * copy.bytes());
    let reused = vec![copy.clone(); 100];
    assert_eq!(
        (PackedBlock::idle_bytes(16, 0), PackedBlock::idle_bytes(16, idle)),
        (idle - 100 * copy.bytes(), 0)
    );
    drop((blocks, copy, reused));
    assert_eq!(PackedBlock::idle_bytes(16, 0), 0);
    assert!(resident_bytes() < before + (4 << 20), "slabs without a block are unmapped");
}
