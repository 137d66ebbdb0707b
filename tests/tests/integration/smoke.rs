//! A client against a server in the same process: what a tenant's backend does in a day.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use tempfile::TempDir;
use tyto_client::scheme::query::Target;
use tyto_client::scheme::{Layout, ParameterSet};
use tyto_client::tenant::keyring::Keyring;
use tyto_client::tenant::{Metric, SubjectId, Template, TenantKey, probe};
use tyto_client::{Client, Config, Decision, Error, GalleryHandle, IdentifyOptions, ProbeBy, VerifyOptions};
use tyto_server::{RunningServer, Server};

struct World {
    server: RunningServer,
    directory: TempDir,
    key: TenantKey,
}

impl World {
    async fn start() -> Self {
        let directory = TempDir::new().unwrap();
        let server =
            Server::start(tyto_server::Config::local(directory.path().join("server"))).await.unwrap();
        Self { server, directory, key: TenantKey::generate().unwrap() }
    }

    fn config(&self) -> Config {
        let mut config = Config::new(format!("http://{}", self.server.local_addr()));
        config.trusted_keys = Some(self.server.trusted_keys().clone());
        config.audience = String::from("smoke");
        config
    }

    /// A process of the same tenant; with a name it keeps its state under it.
    async fn client(&self, state: Option<&str>) -> Client {
        let mut config = self.config();
        config.state_dir = state.map(|name| self.directory.path().join(name));
        Client::connect(config, Keyring::new(self.key.duplicate(), 1_800_000_000)).await.unwrap()
    }
}

fn layout(dimension: u32, stride: u32) -> Layout {
    Layout::new(ParameterSet::Exact41, dimension, stride).unwrap()
}

/// Templates number `from..to` of a gallery, one per subject, deterministic.
fn people(gallery: &GalleryHandle, numbers: std::ops::Range<u64>) -> Vec<(SubjectId, Template)> {
    let dimension = gallery.gallery().layout().dimension();
    let person = |number: u64| {
        let mut state = number.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
        let coordinate = |_| {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            (state % 2001) as f32 - 1000.0
        };
        let vector: Vec<f32> = (0..dimension).map(coordinate).collect();
        (
            SubjectId::new(format!("p{number}")).unwrap(),
            gallery.gallery().quantiser().quantise(&vector).unwrap(),
        )
    };
    numbers.map(person).collect()
}

/// The same list from the plain templates.
fn expected(people: &[(SubjectId, Template)], x: &Template, top: usize) -> Vec<(SubjectId, i32)> {
    let mut all: Vec<_> = people.iter().map(|(subject, y)| (subject.clone(), x.inner_product(y))).collect();
    all.sort_by(|(a, s), (b, t)| t.cmp(s).then_with(|| a.cmp(b)));
    all.truncate(top);
    all
}

async fn check_identify(
    gallery: &GalleryHandle,
    people: &[(SubjectId, Template)],
    x: &Template,
    by: ProbeBy,
) {
    let options = IdentifyOptions { candidates: 7, collect_all: true, probe_by: by, ..Default::default() };
    let found = gallery.identify(x, options).await.unwrap();
    let listed: Vec<_> = found.candidates.iter().map(|c| ((*c.subject).clone(), c.score)).collect();
    assert_eq!(listed, expected(people, x, 7), "{by:?}");
    assert_eq!((found.compared, found.all.unwrap().len()), (people.len() as u64, people.len()));
    assert!(found.candidates.iter().all(|c| c.templates.iter().any(|t| t.score == c.score)));
    let attestation = found.attestation.unwrap();
    assert_eq!(attestation.statement.unwrap().audience, "smoke");
    assert!(attestation.file.encode().is_ok());
}

#[tokio::test(flavor = "multi_thread")]
async fn enrol_verify_identify_remove_in_both_layouts() {
    let world = World::start().await;
    let client = world.client(Some("state")).await;
    for (name, layout) in
        [("one to many", layout(64, 1)), ("one to one", layout(100, 128)), ("between", layout(96, 4))]
    {
        let gallery = client.create_gallery(name, layout, Metric::Cosine).await.unwrap();
        let enrolled = people(&gallery, 0..300);
        let seen = AtomicU64::new(0);
        let report =
            gallery.enrol(enrolled.clone(), &|done| seen.store(done, Ordering::Relaxed)).await.unwrap();
        assert_eq!((report.enrolled, seen.into_inner(), report.journalled), (300, 300, true));
        let (ada, template) = &enrolled[17];
        for by in [ProbeBy::WholeQuery, ProbeBy::Ticket, ProbeBy::Auto] {
            let verified = gallery.verify_with(ada, template, VerifyOptions { probe_by: by }).await.unwrap();
            assert_eq!(verified.best.score, template.inner_product(template), "{by:?}");
            assert_eq!(verified.templates.len(), 1);
            assert_eq!(verified.decision(900), Decision::Match);
            assert!(verified.attestation.unwrap().statement.is_some());
            check_identify(&gallery, &enrolled, template, by).await;
        }
        let (bob, other) = &enrolled[200];
        let crossed = gallery.verify(bob, template).await.unwrap();
        assert_eq!(crossed.best.score, template.inner_product(other));
        assert_eq!(gallery.remove(ada).await.unwrap(), 1);
        assert_eq!(gallery.remove(ada).await.unwrap(), 0);
        assert!(matches!(gallery.verify(ada, template).await, Err(Error::UnknownSubject)));
        let mut rest = enrolled.clone();
        rest.remove(17);
        check_identify(&gallery, &rest, template, ProbeBy::Auto).await;
        let stat = gallery.stat().await.unwrap();
        assert_eq!((stat.templates, stat.slots_used), (299, 300));
        assert_eq!(gallery.subjects().await.unwrap().len(), 299);
    }
    assert!(matches!(
        client.create_gallery("between", layout(8, 8), Metric::Cosine).await,
        Err(Error::NameTaken { .. })
    ));
    client.delete_gallery("between").await.unwrap();
    assert!(matches!(client.open_gallery("between").await, Err(Error::UnknownGallery { .. })));
    assert_eq!(client.galleries().await.unwrap().len(), 2);
    world.server.shutdown().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn two_processes_of_one_tenant_enrol_at_the_same_time_and_see_each_other() {
    let world = World::start().await;
    let (here, there) = (world.client(Some("here")).await, world.client(None).await);
    let mine = here.create_gallery("shared", layout(32, 32), Metric::Cosine).await.unwrap();
    let theirs = there.open_gallery("shared").await.unwrap();
    let all = people(&mine, 0..400);
    let enrol = |gallery: GalleryHandle, part: Vec<(SubjectId, Template)>| async move {
        let mut conflicts = 0;
        for chunk in part.chunks(20) {
            conflicts += gallery.enrol(chunk.to_vec(), &|_| ()).await.unwrap().conflicts;
        }
        conflicts
    };
    let (a, b) = tokio::join!(
        tokio::spawn(enrol(mine.clone(), all[..200].to_vec())),
        tokio::spawn(enrol(theirs.clone(), all[200..].to_vec()))
    );
    assert!(a.unwrap() + b.unwrap() > 0, "they got in each other's way at least once");
    // Without a synchronisation in between: the answers themselves bring what is new.
    check_identify(&mine, &all, &all[300].1, ProbeBy::Auto).await;
    let verified = theirs.verify(&all[3].0, &all[3].1).await.unwrap();
    assert_eq!(verified.best.score, all[3].1.inner_product(&all[3].1));

    // A second template of somebody enrolled over there, a removal of somebody enrolled here.
    let again = vec![(all[3].0.clone(), all[4].1.clone())];
    theirs.enrol(again, &|_| ()).await.unwrap();
    let verified = mine.verify(&all[3].0, &all[3].1).await.unwrap();
    assert_eq!(verified.templates.len(), 2);
    assert_eq!(theirs.remove(&all[3].0).await.unwrap(), 2);
    assert!(matches!(mine.verify(&all[3].0, &all[3].1).await, Err(Error::UnknownSubject)));
    let stranger =
        Client::connect(world.config(), Keyring::new(TenantKey::generate().unwrap(), 1)).await.unwrap();
    assert_eq!(stranger.galleries().await.unwrap()[0].name, None);
    let id = mine.id().to_string();
    assert!(matches!(stranger.open_gallery(&id).await, Err(Error::ForeignKey { .. })));
    world.server.shutdown().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restarted_process_fills_its_block_on_and_remembers_what_it_saw() {
    let world = World::start().await;
    let first = world
        .client(Some("state"))
        .await
        .create_gallery("staff", layout(16, 16), Metric::Cosine)
        .await
        .unwrap();
    let all = people(&first, 0..60);
    assert_eq!(first.enrol(all[..10].to_vec(), &|_| ()).await.unwrap().blocks_provisioned, 1);
    // While the first lives, a second process does without the journal.
    let second = world.client(Some("state")).await.open_gallery("staff").await.unwrap();
    let report = second.enrol(all[10..20].to_vec(), &|_| ()).await.unwrap();
    assert_eq!((report.blocks_provisioned, report.journalled), (1, false));
    drop((first, second));
    let third = world.client(Some("state")).await.open_gallery("staff").await.unwrap();
    let report = third.enrol(all[20..].to_vec(), &|_| ()).await.unwrap();
    assert_eq!((report.blocks_provisioned, report.journalled), (0, true));
    check_identify(&third, &all, &all[30].1, ProbeBy::Auto).await;
    world.server.shutdown().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn tickets_are_prepared_ahead_and_devices_use_theirs_once() {
    let world = World::start().await;
    let gallery =
        world.client(None).await.create_gallery("door", layout(32, 1), Metric::Cosine).await.unwrap();
    let all = people(&gallery, 0..50);
    gallery.enrol(all.clone(), &|_| ()).await.unwrap();
    gallery.prepare_tickets::<probe::Identification>(2).await.unwrap();
    gallery.prepare_tickets::<probe::Verification>(2).await.unwrap();
    for (subject, x) in &all[..6] {
        check_identify(&gallery, &all, x, ProbeBy::Ticket).await;
        let verified = gallery.verify(subject, x).await.unwrap();
        assert_eq!(verified.best.score, x.inner_product(x));
    }
    let (ada, x) = &all[9];
    let target = Target::Subject(gallery.gallery().pseudonym(ada));
    let device = gallery.issue_device_ticket::<probe::Verification>().await.unwrap();
    let used = device.bind(x, &target).unwrap();
    let mut forged = used.clone();
    forged.tag[0] ^= 1;
    assert!(matches!(gallery.verify_device_use(ada, &forged).await, Err(Error::Tenant(_))));
    let verified = gallery.verify_device_use(ada, &used).await.unwrap();
    assert_eq!(verified.best.score, x.inner_product(x));
    assert!(matches!(gallery.verify_device_use(ada, &used).await, Err(Error::UnknownTicket(_))));
    let device = gallery.issue_device_ticket::<probe::Identification>().await.unwrap();
    let used = device.bind(x, &Target::Gallery).unwrap();
    let found = gallery.identify_device_use(&used, IdentifyOptions::default()).await.unwrap();
    assert_eq!(found.candidates[0].subject.as_bytes(), ada.as_bytes());
    assert!(matches!(
        gallery.prepare_tickets::<probe::Verification>(1000).await,
        Err(Error::TooManyTickets { .. })
    ));
    world.server.shutdown().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn many_callers_share_one_gallery() {
    let world = World::start().await;
    let gallery =
        world.client(None).await.create_gallery("busy", layout(64, 64), Metric::Cosine).await.unwrap();
    let all = Arc::new(people(&gallery, 0..200));
    gallery.enrol(all[..100].to_vec(), &|_| ()).await.unwrap();
    let callers = (0..8_usize).map(|caller| {
        let (gallery, all) = (gallery.clone(), Arc::clone(&all));
        tokio::spawn(async move {
            for round in 0..10 {
                let (subject, x) = &all[(caller * 11 + round) % 100];
                let verified = gallery.verify(subject, x).await.unwrap();
                assert_eq!(verified.best.score, x.inner_product(x));
                let found = gallery.identify(x, IdentifyOptions::default()).await.unwrap();
                assert_eq!(found.candidates[0].score, x.inner_product(x));
            }
        })
    });
    let callers: Vec<_> = callers.collect();
    for person in &all[100..] {
        gallery.enrol([person.clone()], &|_| ()).await.unwrap();
    }
    for caller in callers {
        caller.await.unwrap();
    }
    check_identify(&gallery, &all, &all[150].1, ProbeBy::Auto).await;
    world.server.shutdown().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn an_enrolment_goes_on_when_the_server_comes_back() {
    let mut world = World::start().await;
    let mut config = world.config();
    config.max_attempts = 12;
    let client = Client::connect(config, Keyring::new(world.key.duplicate(), 1)).await.unwrap();
    let gallery = client.create_gallery("long", layout(16, 16), Metric::Cosine).await.unwrap();
    let all = people(&gallery, 0..12_000);
    let begun = Arc::new(AtomicU64::new(0));
    let enrolling = {
        let (gallery, all, begun) = (gallery.clone(), all.clone(), Arc::clone(&begun));
        tokio::spawn(async move { gallery.enrol(all, &|done| begun.store(done, Ordering::Relaxed)).await })
    };
    let mut server_config = tyto_server::Config::local(world.directory.path().join("server"));
    server_config.listen = world.server.local_addr();
    for _ in 0..2 {
        let seen = begun.load(Ordering::Relaxed);
        while begun.load(Ordering::Relaxed) == seen && !enrolling.is_finished() {
            tokio::time::sleep(std::time::Duration::from_millis(1)).await;
        }
        world.server.shutdown().await.unwrap();
        world.server = Server::start(server_config.clone()).await.unwrap();
    }
    let report = enrolling.await.unwrap().unwrap();
    assert_eq!(report.enrolled, 12_000);
    assert_eq!(gallery.stat().await.unwrap().templates, 12_000);
    check_identify(&gallery, &all, &all[777].1, ProbeBy::Ticket).await;
    world.server.shutdown().await.unwrap();
}
