//! The noise is what the formula says, and leaves the room that the bound promises.

use super::*;
use tyto_kernels::modq;
use tyto_scheme::bound::noise_deviation;
use tyto_scheme::params::{T, centre_t, reduce_t};

/// Noise of every coefficient of a product: the phase less its message, in units of q.
fn noise(world: &World, query: &QueryPolynomials, pending: &Pending<Identification>) -> Vec<f64> {
    let mut phase = world.server.product(&query.queries()[0]);
    phase.sub_assign(&pending.blind_of(&world.view()));
    let message = |v: i64| i64::from(centre_t(reduce_t((v % T as i64) as i32)));
    phase.as_slice().iter().map(|&c| modq::centre(c)).map(|v| (v - message(v)) as f64).collect()
}

fn sample(world: &World, x: &Template, whole: bool) -> Vec<f64> {
    if whole {
        let (query, pending) = whole_query::<Identification>(&world.gallery, x, ()).unwrap();
        noise(world, &query, &pending)
    } else {
        let (ticket, upload) = Ticket::<Identification>::generate(&world.gallery).unwrap();
        let (used, pending) = ticket.bind(&world.gallery, x, ()).unwrap();
        noise(world, &world.apply_ticket(&upload, &used), &pending)
    }
}

#[test]
fn the_measured_deviation_is_within_three_percent_of_the_formula() {
    let mut rng = Rng(5);
    for d in [128, 512, 1024] {
        for k in [1, 16, d] {
            let layout = Layout::new(ParameterSet::Exact41, d, k).unwrap();
            let (mut sum, mut squares, mut count) = (0.0, 0.0, 0.0);
            // A block of few polynomials has noise of its own size: average over several.
            let worlds = (64 / layout.chunks()).clamp(1, 32);
            for _ in 0..worlds {
                let mut world = World::new(gallery(d, k));
                let templates: Vec<_> =
                    (0..layout.slots().min(32)).map(|_| rng.template(&world.gallery)).collect();
                world.enrol(&templates);
                for round in 0..if soak() { 64 } else { 8 } {
                    let sample = sample(&world, &rng.template(&world.gallery), round % 2 == 0);
                    sum += sample.iter().sum::<f64>();
                    squares += sample.iter().map(|v| v * v).sum::<f64>();
                    count += sample.len() as f64;
                }
            }
            let deviation = (squares / count).sqrt();
            let formula = noise_deviation(layout.chunks());
            println!("d={d} k={k}: noise 2^{:.3}, formula 2^{:.3}", deviation.log2(), formula.log2());
            assert!((deviation / formula - 1.0).abs() < 0.03, "d={d} k={k}: {deviation} against {formula}");
            // The mean of the sample has deviation formula/sqrt(count); six of them is never by chance.
            assert!((sum / count).abs() < 6.0 * formula / count.sqrt(), "d={d} k={k}: mean {}", sum / count);
        }
    }
}
