//! temporary
use std::sync::atomic::AtomicBool;
use tyto_measure::*;
fn main() {
    let machine = Machine::detect();
    let mut options = Options::for_machine(&machine);
    if std::env::args().any(|a| a == "quick") {
        options = options.quick();
    }
    let t = std::time::Instant::now();
    let control = Control {
        is_interrupted: &AtomicBool::new(false),
        progress: &|what| println!("{:6.1} {what}", t.elapsed().as_secs_f64()),
    };
    println!("{:#?}", run(&options, machine, &control).unwrap());
}
