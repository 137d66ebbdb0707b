//! Golden vectors: `vectors/exact41` holds what this crate makes of fixed inputs, byte for byte, and sealed objects that
//! must open. `docs/formats.md` describes the formats, `vectors/README.md` the files.
//!
//! Sealing is randomised, so sealed objects are made once and kept. `TYTO_REGENERATE_VECTORS=1` writes everything anew:
//! only after a deliberate change of a format.

mod files;

use super::*;
use crate::derive::{Seed, stream, subkey};
use crate::keyring::Keyring;
use crate::manifest::{Manifest, ManifestEntry, record_digest};
use crate::passphrase::Cost;
use crate::probe::{DeviceUse, Mode, whole_query_with_nonce};
use crate::sample::{self, Scratch};
use crate::template::Quantiser;
use files::{Json, Sealed, check_file, hex, lambdas, map, number, pads, polynomials, row, text};
use tyto_kernels::N;
use tyto_pqc::Secret32;
use tyto_pqc::digest::sha3_256;
use tyto_scheme::bound::failure_log2;
use tyto_scheme::mask::{Family, expand};
use tyto_scheme::query::{Kind, TICKET_HEADER_BYTES, Target};
use tyto_scheme::segment::{SEGMENT_HEADER_BYTES, write_header, write_packed_block};
use tyto_scheme::{GalleryId, GalleryParameters, Pseudonym, TicketId};

/// `start, start + 1, ...`
fn run<const L: usize>(start: u8) -> [u8; L] {
    std::array::from_fn(|i| start.wrapping_add(i as u8))
}

struct Case {
    dimension: u32,
    stride: u32,
    metric: Metric,
    /// Everything fixed begins with this byte.
    start: u8,
    /// Four templates and a probe.
    vectors: [Vec<i32>; 5],
    /// Whether verifications are played too, and the block is written out.
    full: bool,
}

fn cases() -> Vec<Case> {
    let case = |dimension, stride, start, vectors: [&[i32]; 5]| Case {
        dimension,
        stride,
        metric: Metric::Cosine,
        start,
        vectors: vectors.map(<[i32]>::to_vec),
        full: true,
    };
    let mut rng = Rng(41);
    let mut large = || (0..128).map(|_| rng.below(6) as i32 - 2).collect();
    vec![
        Case {
            metric: Metric::InnerProduct { max_norm: 2.5 },
            ..case(
                4,
                4,
                0,
                [&[31, -7, 3, 0], &[-5, 12, 0, 20], &[0, 0, 0, -31], &[1, 1, 1, 1], &[29, 9, -9, 4]],
            )
        },
        case(
            6,
            2,
            60,
            [
                &[5, -7, 3, 0, 2, 9],
                &[-31, -7, 0, 3, 0, 0],
                &[0, 0, 0, 0, 0, 1],
                &[9, 9, 9, 9, 9, 9],
                &[31, 7, 0, -3, 0, 0],
            ],
        ),
        case(
            5,
            4,
            120,
            [
                &[31, -7, 3, 0, 0],
                &[0, 0, 0, 0, -31],
                &[3, 1, 4, 1, 5],
                &[-2, -7, -1, -8, -2],
                &[-8, 20, -4, 5, 21],
            ],
        ),
        case(3, 1, 180, [&[31, -7, 3], &[-31, 7, -3], &[0, 17, 0], &[18, -18, 18], &[31, -7, 3]]),
        Case {
            dimension: 128,
            stride: 1,
            metric: Metric::Cosine,
            start: 240,
            vectors: [large(), large(), large(), large(), large()],
            full: false,
        },
    ]
}

impl Case {
    fn template(&self, index: usize) -> Template {
        Template::from_integers(&self.vectors[index]).unwrap()
    }

    fn key(&self) -> TenantKey {
        TenantKey::from_secret(Secret32::from_bytes(run(self.start)))
    }
}

const NAME: &str = "golden owls \u{1f989}";

/// A block whose every record is the kept one, with the manifests beside it.
struct Played {
    world: World,
    sealed: Sealed,
    manifest: Manifest,
    states: Vec<Json>,
}

/// A subject id of 1 byte, one of 64, and two between.
fn golden_subject(index: usize) -> SubjectId {
    SubjectId::new(match index {
        0 => "x".to_owned(),
        1 => "y".repeat(64),
        _ => format!("subject {index}"),
    })
    .unwrap()
}

impl Played {
    fn begin(case: &Case, mut sealed: Sealed) -> (Self, Provisioned) {
        let layout = Layout::new(ParameterSet::Exact41, case.dimension, case.stride).unwrap();
        let (key, id) = (case.key(), GalleryId(run(case.start + 1)));
        let (_, new) = Gallery::create_with_id(&key, id, NAME, layout, case.metric).unwrap();
        let descriptor = sealed.take("descriptor", &new.sealed_descriptor);
        let gallery = Gallery::open(&key, new.parameters, &descriptor).unwrap();
        assert_eq!((gallery.name(), gallery.quantiser().metric()), (NAME, case.metric));
        let manifest = Manifest::open(&gallery, 1, &sealed.take("manifest-1", &new.sealed_manifest)).unwrap();
        assert_eq!(manifest, Manifest::empty());
        let (open, provisioned) =
            OpenBlock::provision_with_id(&gallery, BlockId(run(case.start + 2))).unwrap();
        let world = World {
            slots: SlotMap::new(&gallery, open.block()),
            server: ServerBlock::new(gallery.layout(), &provisioned),
            record: provisioned.record.clone(),
            gallery,
            open,
            enrolled: vec![],
            stored: vec![],
        };
        let mut played = Self { world, sealed, manifest, states: vec![] };
        played.follow(&provisioned.record, &provisioned.sealed_record, &[]);
        (played, provisioned)
    }

    /// Opens the kept record and entries, compares them with the fresh ones, and goes on with the kept ones.
    fn follow(&mut self, fresh: &Record, sealed_record: &[u8], entries: &[Vec<u8>]) {
        let (world, block) = (&mut self.world, fresh.block);
        for entry in entries {
            let kept = self.sealed.take(&format!("entry-{}", world.slots.entries()), entry);
            world.slots.append(&world.gallery, &kept).unwrap();
        }
        let kept = self.sealed.take(&format!("record-{}", fresh.version), sealed_record);
        let record = Record::open(&world.gallery, block, fresh.version, &kept).unwrap();
        world.slots.check(&record).unwrap();
        assert!(
            (record.entries, record.used, &record.filled, &record.check, &record.hint)
                == (fresh.entries, fresh.used, &fresh.filled, &fresh.check, &fresh.hint),
            "record {} differs from what is made now",
            fresh.version
        );
        let entry = ManifestEntry { block, version: fresh.version, record_digest: record_digest(&kept) };
        self.manifest = self.manifest.next(&[entry]);
        let version = self.manifest.version();
        let fresh_manifest = self.manifest.seal(&world.gallery).unwrap();
        let kept = self.sealed.take(&format!("manifest-{version}"), &fresh_manifest);
        assert_eq!(Manifest::open(&world.gallery, version, &kept).unwrap(), self.manifest);
        world.record = record;
        self.states.push(state(world, &self.manifest));
    }

    /// Enrols in slots 0, 1 and 2; then enrols in the last one and removes slot 1.
    fn play(&mut self, case: &Case) -> Vec<Json> {
        let mut journal = Vec::new();
        let mut fill = |world: &mut World, index: usize| {
            let fill = world.open.fill(&world.gallery, golden_subject(index), &case.template(index)).unwrap();
            journal.push(enrolment(case, index, &fill));
            world.stored.push((fill.slot(), fill.delta().clone(), *fill.tag()));
            world.enrolled.push((fill.slot(), case.template(index)));
            fill
        };
        let world = &mut self.world;
        let fills = [fill(world, 0), fill(world, 1), fill(world, 2)];
        self.change(&fills, &[]);
        let world = &mut self.world;
        let last = world.layout().slots() as u16 - 1;
        world.open = OpenBlock::resume_from_journal(&world.gallery, &world.record, last);
        let removed = world.stored.remove(1);
        world.enrolled.remove(1);
        let removals =
            Removal::from_stored(&world.gallery, &world.record, std::slice::from_ref(&removed)).unwrap();
        let fills = [fill(world, 3)];
        world.server.apply(world.gallery.layout(), &[], &[(removed.0, &removed.1)]);
        world.server.version -= 1;
        self.change(&fills, &removals);
        journal
    }

    fn change(&mut self, fills: &[Fill], removals: &[Removal]) {
        let world = &mut self.world;
        let writes: Vec<_> = fills.iter().map(|fill| (fill.slot(), fill.delta())).collect();
        world.server.apply(world.gallery.layout(), &writes, &[]);
        let change = BlockChange::new(&world.gallery, &world.record, fills, removals).unwrap();
        self.follow(&change.record, &change.sealed_record, &change.entries);
    }
}

fn enrolment(case: &Case, index: usize, fill: &Fill) -> Json {
    map([
        ("slot", number(fill.slot().into())),
        ("subject", hex(golden_subject(index).as_bytes())),
        ("pseudonym", text(&fill.pseudonym())),
        ("template", row(&case.vectors[index])),
        ("delta", hex(&fill.delta().to_bytes())),
        ("tag", hex(fill.tag())),
    ])
}

fn state(world: &World, manifest: &Manifest) -> Json {
    let record = &world.record;
    let check: Vec<u8> = record.check.iter().flat_map(|v| v.to_le_bytes()).collect();
    map([
        ("version", number(record.version as usize)),
        ("manifest_version", number(manifest.version() as usize)),
        ("record_digest", hex(&manifest.entries()[0].record_digest)),
        ("entries", number(record.entries as usize)),
        ("entries_digest", hex(&record.entries_digest)),
        ("used", number(record.used.into())),
        ("filled", hex(&record.filled)),
        ("hint", polynomials(std::slice::from_ref(&record.hint))),
        ("check", hex(&check)),
        ("polynomials", polynomials(&world.server.polynomials)),
    ])
}

fn parameters(case: &Case, gallery: &Gallery) -> Json {
    let (parameters, layout) = (gallery.parameters(), gallery.layout());
    let later = GalleryParameters { mask_epoch: 1, ..*parameters };
    map([
        ("key", hex(case.key().secret().expose())),
        ("key_id", text(&parameters.key)),
        ("gallery_id", text(&parameters.gallery)),
        ("parameter_set", number(layout.parameter_set().id().into())),
        ("dimension", number(layout.dimension())),
        ("stride", number(layout.stride())),
        ("mask_epoch", number(0)),
        ("chunks", number(layout.chunks())),
        ("padded_dimension", number(layout.padded_dimension())),
        ("slots", number(layout.slots())),
        ("reply_bits", number(layout.reply_bits().into())),
        ("mask_seed", hex(&parameters.mask_seed().0)),
        ("context", hex(&parameters.context())),
        ("mask_seed_of_epoch_1", hex(&later.mask_seed().0)),
        ("context_of_epoch_1", hex(&later.context())),
    ])
}

fn keys(case: &Case, gallery: &Gallery) -> Json {
    let (key, context) = (case.key(), gallery.parameters().context());
    let name = |name, label| (name, hex(subkey(key.secret(), label, &[&context]).expose()));
    assert_eq!(gallery.keys.query.expose(), subkey(key.secret(), "tyto/v1/query-key", &[&context]).expose());
    map([
        name("record", "tyto/v1/record-key"),
        name("entry", "tyto/v1/entry-key"),
        name("manifest", "tyto/v1/manifest-key"),
        name("descriptor", "tyto/v1/descriptor-key"),
        name("query", "tyto/v1/query-key"),
        name("delta", "tyto/v1/delta-key"),
        name("pseudonym", "tyto/v1/pseudonym-key"),
        name("block", "tyto/v1/block-key"),
    ])
}

fn masks(gallery: &Gallery) -> Json {
    let family = |family| {
        let seed = gallery.parameters().mask_seed();
        let masks: Vec<_> = expand(&seed, family, 0..gallery.layout().chunks() as u16);
        polynomials(&masks)
    };
    map([
        ("gallery", family(Family::Gallery)),
        ("query", family(Family::Query)),
        ("w", polynomials(&[inverse(&gallery.w)])),
    ])
}

fn provisioned_block(case: &Case, world: &World, provisioned: &Provisioned) -> Json {
    let (gallery, layout, block) = (&world.gallery, world.layout(), world.server.block);
    let seed = gallery.keys.block_seed(block);
    let streams = seed.block_pads(layout.chunks());
    let mut all_pads = vec![0; layout.chunks() * N];
    for (chunk, pads) in all_pads.as_chunks_mut::<N>().0.iter_mut().enumerate() {
        Scratch::new().pads(streams.at(chunk), pads);
    }
    let mut errors = Poly::zero();
    Scratch::new().noise(seed.errors(1).at(0), None, &mut errors);
    let mut segment = Vec::new();
    write_header(gallery.parameters(), 1, &mut segment);
    write_packed_block(block, &provisioned.polynomials, &mut segment);
    let packed: &[u8] = if case.stride == 4 && case.dimension == 4 { &provisioned.polynomials } else { &[] };
    map([
        ("block_id", text(&block)),
        ("seed", hex(seed.0.expose())),
        ("secret", polynomials(&[inverse(&seed.secret())])),
        ("scaled_errors", polynomials(&[errors])),
        ("pads", pads(&all_pads)),
        ("lambdas", lambdas(&seed.lambdas(layout))),
        ("segment_header", hex(&segment[..SEGMENT_HEADER_BYTES])),
        ("segment", hex(&sha3_256(&[&segment]))),
        ("packed", hex(packed)),
    ])
}

/// What a server answers to the queries and what the tenant makes of it, for either mode.
fn answers(world: &World, query: &QueryPolynomials) -> Vec<(&'static str, Json)> {
    let list = |json: &dyn Fn(&Vec<Poly>) -> Json| Json::List(query.queries().iter().map(json).collect());
    vec![
        ("queries", list(&|query| polynomials(query))),
        ("products", list(&|query| polynomials(&[world.server.product(query)]))),
    ]
}

fn scores(scores: &[(u16, i32)]) -> Json {
    Json::List(scores.iter().map(|&(slot, score)| Json::Row(vec![slot.into(), score.into()])).collect())
}

fn identified(
    world: &World,
    query: &QueryPolynomials,
    pending: &Pending<Identification>,
) -> Vec<(&'static str, Json)> {
    let packed = reply::pack(world.layout(), &world.server.coefficients(world.layout(), &query.queries()[0]));
    let mut entries = answers(world, query);
    entries.push(("blind", polynomials(&[pending.blind_of(&world.view())])));
    entries.push(("reply", hex(&packed)));
    entries.push(("scores", scores(&world.identify(query, pending))));
    entries
}

fn verified(
    world: &World,
    query: &QueryPolynomials,
    pending: &Pending<Verification>,
) -> Vec<(&'static str, Json)> {
    let replies = world.slot_coefficients(query);
    let reply =
        |&(slot, [first, second]): &(u16, [u16; 2])| Json::Row([slot, first, second].map(i64::from).into());
    let mut entries = answers(world, query);
    entries.push(("blind", polynomials(&[pending.blind_of(&world.view())])));
    entries.push(("replies", Json::List(replies.iter().map(reply).collect())));
    entries.push(("scores", scores(&world.verify(query, pending))));
    entries
}

fn whole(case: &Case, world: &World, kind: Kind) -> Json {
    let (gallery, x, nonce) = (&world.gallery, case.template(4), run(case.start + 3));
    let pseudonym = gallery.pseudonym(&golden_subject(0));
    let target = target(kind, pseudonym).to_bytes();
    let content: Vec<u8> = x.values().iter().flat_map(|v| v.to_le_bytes()).collect();
    let id = subkey(&gallery.keys.query, "tyto/v1/query-id", &[&nonce, &target, &content]);
    let seed =
        |index: u8| hex(subkey(&gallery.keys.query, "tyto/v1/query-seed", &[id.expose(), &[index]]).expose());
    let mut entries = vec![
        ("nonce", hex(&nonce)),
        ("target", hex(&target)),
        ("probe", row(&case.vectors[4])),
        ("query_id", hex(id.expose())),
        ("query_seeds", Json::List((0..kind.queries() as u8).map(seed).collect())),
    ];
    let rest = match kind {
        Kind::Identify => {
            let (packed, pending) = whole_query_with_nonce(gallery, &nonce, &x, ()).unwrap();
            let query = QueryPolynomials::parse(gallery.layout(), kind, &packed).unwrap();
            pending.check_echo(None).unwrap();
            identified(world, &query, &pending)
        }
        Kind::Verify => {
            let rho = sample::rho(stream(&gallery.keys.query, "tyto/v1/query-rho", &[id.expose()]));
            entries.push(("rho", number(rho.into())));
            let (packed, pending) = whole_query_with_nonce(gallery, &nonce, &x, pseudonym).unwrap();
            let query = QueryPolynomials::parse(gallery.layout(), kind, &packed).unwrap();
            pending.check_echo(None).unwrap();
            verified(world, &query, &pending)
        }
    };
    entries.extend(rest);
    Json::Map(entries)
}

fn target(kind: Kind, pseudonym: Pseudonym) -> Target {
    match kind {
        Kind::Verify => Target::Subject(pseudonym),
        Kind::Identify => Target::Gallery,
    }
}

/// Uses a ticket within one process, and by way of a device: the same comes out.
fn use_ticket<M: Mode>(
    gallery: &Gallery,
    id: TicketId,
    seed: &Secret32,
    x: &Template,
    target: M::Target,
) -> (Vec<u8>, TicketUse, DeviceUse, Pending<M>) {
    let (ticket, upload) = Ticket::<M>::from_seed(gallery, id, seed);
    let (used, _) = ticket.bind(gallery, x, target).unwrap();
    let (device, issued) = Ticket::<M>::from_seed(gallery, id, seed).0.for_device();
    let by_device = device.bind(x, &M::target(target)).unwrap();
    let (accepted, pending) = issued.accept(gallery, &by_device, target).unwrap();
    assert_eq!(accepted, used);
    pending.check_echo(Some(&used)).unwrap();
    (upload, used, by_device, pending)
}

fn ticket(case: &Case, world: &World, kind: Kind) -> Json {
    let (gallery, layout, x) = (&world.gallery, world.layout(), case.template(4));
    let (id, seed) = (TicketId(run(case.start + 4)), Secret32::from_bytes(run(case.start + 5)));
    let pseudonym = gallery.pseudonym(&golden_subject(0));
    let bound: [&[u8]; 2] = [gallery.context(), &id.0];
    let query_seed = |index: u8| subkey(&seed, "tyto/v1/ticket-query-seed", &[bound[0], bound[1], &[index]]);
    let indices = 0..kind.queries() as u8;
    let query_pads = indices.clone().map(|index| pads(&Seed(query_seed(index)).query_pads(layout))).collect();
    let mut entries = vec![
        ("ticket_id", text(&id)),
        ("seed", hex(seed.expose())),
        ("target", hex(&target(kind, pseudonym).to_bytes())),
        ("probe", row(&case.vectors[4])),
        ("query_seeds", Json::List(indices.map(|index| hex(query_seed(index).expose())).collect())),
        ("pads", Json::List(query_pads)),
        ("device_key", hex(subkey(&seed, "tyto/v1/ticket-device-key", &bound).expose())),
        ("use_key", hex(subkey(&seed, "tyto/v1/ticket-use-key", &bound).expose())),
    ];
    let (upload, used, by_device, rest) = match kind {
        Kind::Identify => {
            let (upload, used, by_device, pending) = use_ticket::<Identification>(gallery, id, &seed, &x, ());
            (
                upload.clone(),
                used.clone(),
                by_device,
                identified(world, &world.apply_ticket(&upload, &used), &pending),
            )
        }
        Kind::Verify => {
            let rho = sample::rho(stream(&seed, "tyto/v1/ticket-rho", &bound));
            entries.push(("rho", number(rho.into())));
            let (upload, used, by_device, pending) =
                use_ticket::<Verification>(gallery, id, &seed, &x, pseudonym);
            (
                upload.clone(),
                used.clone(),
                by_device,
                verified(world, &world.apply_ticket(&upload, &used), &pending),
            )
        }
    };
    entries.extend([
        ("upload_header", hex(&upload[..TICKET_HEADER_BYTES])),
        ("upload", hex(&sha3_256(&[&upload]))),
        ("device_delta", hex(&by_device.delta.to_bytes())),
        ("device_tag", hex(&by_device.tag)),
        ("deltas", hex(&used.delta_bytes())),
        ("tag", hex(&used.tag)),
    ]);
    entries.extend(rest);
    Json::Map(entries)
}

fn descriptor(case: &Case) -> Json {
    let (metric, max_norm) = match case.metric {
        Metric::Cosine => ("cosine", 0.0),
        Metric::InnerProduct { max_norm } => ("inner product", max_norm),
    };
    map([("name", hex(NAME.as_bytes())), ("metric", text(&metric)), ("max_norm", Json::Real(max_norm))])
}

#[test]
fn everything_made_from_fixed_inputs_equals_the_golden_files() {
    for case in cases() {
        let name = format!("d{}k{}", case.dimension, case.stride);
        let (mut played, provisioned) = Played::begin(&case, Sealed::read(format!("{name}.sealed.txt")));
        let mut entries = vec![
            ("parameters", parameters(&case, &played.world.gallery)),
            ("keys", keys(&case, &played.world.gallery)),
            ("descriptor", descriptor(&case)),
            ("masks", masks(&played.world.gallery)),
            ("block", provisioned_block(&case, &played.world, &provisioned)),
        ];
        entries.push(("enrolments", Json::List(played.play(&case))));
        entries.push(("states", Json::List(played.states)));
        let world = &played.world;
        entries.push(("identification", whole(&case, world, Kind::Identify)));
        entries.push(("ticket_identification", ticket(&case, world, Kind::Identify)));
        if case.full {
            entries.push(("verification", whole(&case, world, Kind::Verify)));
            entries.push(("ticket_verification", ticket(&case, world, Kind::Verify)));
        }
        let expected = world.expected(&case.template(4));
        let by_score = |&(slot, score): &(u16, i32)| Json::Row(vec![slot.into(), score.into()]);
        entries.push(("inner_products", Json::List(expected.iter().map(by_score).collect())));
        check_file(&format!("{name}.json"), &Json::Map(entries));
        played.sealed.finish();
    }
}

#[test]
fn golden_keyrings_open() {
    let mut sealed = Sealed::read("keyring.sealed.txt".to_owned());
    let mut files = Vec::new();
    let costs = [(64, 1, 1), (256, 3, 4)];
    for (number_of_keys, (memory_kib, passes, lanes)) in (1_u8..).zip(costs) {
        let passphrase = "Schleiereule \u{e4}\u{1f989}".as_bytes();
        let keys = || (0..number_of_keys).map(|i| (run::<32>(i), 1_700_000_000 + u64::from(i)));
        let mut keyring = Keyring::default();
        for (key, created) in keys() {
            keyring.add(TenantKey::from_secret(Secret32::from_bytes(key)), created).unwrap();
        }
        let name = format!("lanes-{lanes}");
        let kept = sealed.take(&name, &keyring.seal(passphrase, Cost { memory_kib, passes, lanes }).unwrap());
        let opened = Keyring::open(&kept, passphrase).unwrap();
        let entries: Vec<_> = opened
            .entries()
            .iter()
            .map(|entry| (*entry.key.secret().expose(), entry.created_unix_s))
            .collect();
        assert_eq!(entries, keys().collect::<Vec<_>>());
        let entry = |(key, created): ([u8; 32], u64)| {
            map([("key", hex(&key)), ("created_unix_s", number(created as usize))])
        };
        files.push(map([
            ("name", text(&name)),
            ("passphrase", hex(passphrase)),
            ("cost", row(&[memory_kib, passes, lanes])),
            ("keys", Json::List(keys().map(entry).collect())),
        ]));
    }
    check_file("keyring.json", &Json::List(files));
    sealed.finish();
}

#[test]
fn noise_bounds_and_reply_widths_equal_the_golden_file() {
    let layouts = [1, 3, 64, 100, 128, 256, 512, 1024, 1536, 2048, 4096].into_iter().flat_map(|d: u32| {
        [1, 2, 4, 16, 128, 512, 2048]
            .into_iter()
            .filter(move |&k| k <= d.next_power_of_two())
            .map(move |k| (d, k))
    });
    let row = |(d, k): (u32, u32)| {
        let chunks = d.div_ceil(k) as usize;
        let bits = Layout::new(ParameterSet::Exact41, d, k).map_or(0, |layout| layout.reply_bits());
        map([
            ("dimension", number(d as usize)),
            ("stride", number(k as usize)),
            ("failure_log2_14", Json::Real(failure_log2(chunks, k as usize, 14))),
            ("failure_log2_16", Json::Real(failure_log2(chunks, k as usize, 16))),
            ("reply_bits", number(bits.into())),
        ])
    };
    check_file("bound.json", &Json::List(layouts.map(row).collect()));
}

#[test]
fn quantised_vectors_equal_the_golden_file() {
    let mut rng = Rng(43);
    let mut vectors = vec![vec![1.0; 128], vec![-0.25; 1100], vec![0.0, -3e-20, 4e-20], vec![3e30, 4e30]];
    vectors.extend([3, 128, 512].map(|d| rng.vector(d)));
    vectors.push(vec![0.5, -1.5, 1.5]);
    let mut rows = Vec::new();
    for vector in &vectors {
        for metric in [Metric::Cosine, Metric::InnerProduct { max_norm: 3.0 }] {
            let quantised = Quantiser::new(metric, vector.len()).unwrap().quantise(vector);
            let bytes: Vec<u8> = vector.iter().flat_map(|v| v.to_le_bytes()).collect();
            rows.push(map([
                ("max_norm", Json::Real(if metric == Metric::Cosine { 0.0 } else { 3.0 })),
                ("vector", hex(&bytes)),
                ("template", row(quantised.as_ref().map_or(&[], Template::values))),
            ]));
        }
    }
    check_file("quantiser.json", &Json::List(rows));
}
