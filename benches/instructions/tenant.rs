//! The tenant's side: provisioning, enrolment, tickets, decryption, records.

use std::num::NonZeroUsize;

use tyto_engine::{Block, BlockState, read_queries};
use tyto_kernels::{NttPoly, detect, inverse, match_blocks};
use tyto_scheme::query::Kind;
use tyto_scheme::segment::read_polynomials;
use tyto_scheme::{Layout, ParameterSet, reply};
use tyto_tenant::block::{BlockChange, Fill, OpenBlock};
use tyto_tenant::decrypt::BlockView;
use tyto_tenant::probe::{Identification, Ticket, Verification, whole_query};
use tyto_tenant::record::Record;
use tyto_tenant::{Gallery, Metric, SubjectId, Template, TenantKey};

use crate::counted::path;
use crate::kernels::DIMENSION;

/// Counts all paths of this file.
pub(crate) fn paths() {
    let layout = Layout::identification(ParameterSet::Exact41, DIMENSION).expect("a safe layout");
    let key = TenantKey::generate().expect("OS randomness");
    let (gallery, _) = Gallery::create(&key, "counted", layout, Metric::Cosine).expect("a gallery");
    let gallery = gallery.with_threads(NonZeroUsize::MIN);
    path(
        "tenant/provision a block",
        || (),
        |()| OpenBlock::provision(&gallery).expect("OS randomness"),
        |(open, provisioned)| {
            assert_eq!(usize::from(open.free_slots()), layout.slots());
            assert_eq!(provisioned.polynomials.len(), layout.polynomials_bytes());
        },
    );
    enrolment(&gallery);
    path(
        "tenant/ticket for an identification",
        || (),
        |()| Ticket::<Identification>::generate(&gallery).expect("OS randomness"),
        |(_, bytes)| assert!(bytes.len() > layout.polynomials_bytes()),
    );
    let layout = Layout::verification(ParameterSet::Exact41, DIMENSION).expect("a safe layout");
    let (gallery, _) = Gallery::create(&key, "counted", layout, Metric::Cosine).expect("a gallery");
    let gallery = gallery.with_threads(NonZeroUsize::MIN);
    path(
        "tenant/ticket for a verification",
        || (),
        |()| Ticket::<Verification>::generate(&gallery).expect("OS randomness"),
        |(_, bytes)| assert!(bytes.len() > 2 * layout.polynomials_bytes()),
    );
}

/// A template that depends on nothing but its number.
fn template(number: usize) -> Template {
    let value = |i: usize| if i.is_multiple_of(4) { ((number * 31 + i * 17) % 5) as i32 - 2 } else { 0 };
    let values: Vec<_> = (0..DIMENSION as usize).map(value).collect();
    Template::from_integers(&values).expect("within the range")
}

fn enrolment(gallery: &Gallery) {
    let layout = gallery.layout();
    let subject = SubjectId::new("subject").expect("a short id");
    let (mut open, provisioned) = OpenBlock::provision(gallery).expect("OS randomness");
    let templates: Vec<_> = (0..layout.slots()).map(template).collect();
    let fill = |template: &Template| open.fill(gallery, subject.clone(), template).expect("a free slot");
    let fills: Vec<Fill> = templates.iter().map(fill).collect();
    path(
        "tenant/record of one enrolment",
        || (),
        |()| BlockChange::new(gallery, &provisioned.record, &fills[..1], &[]).expect("a fresh slot"),
        |change| assert_eq!((change.record.version(), change.record.filled_count()), (2, 1)),
    );
    let full = BlockChange::new(gallery, &provisioned.record, &fills, &[]).expect("fresh slots");
    path(
        "tenant/open a record",
        || (),
        |()| Record::open(gallery, full.record.block(), 2, &full.sealed_record).expect("our own record"),
        |record| assert_eq!(record.filled_count() as usize, layout.slots()),
    );
    decryption(gallery, full.record, &provisioned.polynomials, &fills, &templates);
}

/// One answer to an identification, from the reply's bytes to checked scores.
fn decryption(gallery: &Gallery, record: Record, packed: &[u8], fills: &[Fill], templates: &[Template]) {
    let layout = gallery.layout();
    let mut polynomials = read_polynomials("block", packed, layout.chunks()).expect("our own form");
    fills.iter().for_each(|fill| fill.delta().add_to_block(layout, fill.slot(), &mut polynomials));
    let state = BlockState {
        id: record.block(),
        version: record.version(),
        changed_at: 1,
        record: [1; 40].into(),
        record_digest: [1; 32],
        entries: 0,
    };
    let block = Block::from_polynomials(layout, state, polynomials, &[], &[]);
    let view = BlockView::new(gallery, record);
    let x = template(7);
    let asked = || {
        let (query, pending) = whole_query::<Identification>(gallery, &x, ()).expect("a query");
        pending.check_echo(None).expect("a whole query has no echo");
        let mut product = NttPoly::zero();
        let prepared = read_queries(layout, Kind::Identify, &query).expect("our own form").remove(0);
        match_blocks(detect(), &[block.packed()], &[&prepared], std::slice::from_mut(&mut product));
        (pending, reply::pack(layout, &reply::compress(layout, &inverse(&product))))
    };
    path(
        "tenant/decrypt a block with its check",
        asked,
        |(pending, packed)| {
            let claimed = view.claim_block(layout, block.id(), block.version(), &packed);
            pending.decrypt(gallery, claimed.expect("this version")).expect("an honest answer")
        },
        |scores| {
            let exact = |&(slot, score): &(u16, i32)| score == x.inner_product(&templates[usize::from(slot)]);
            assert!(scores.len() == layout.slots() && scores.iter().all(exact));
        },
    );
}
