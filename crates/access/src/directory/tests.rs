use super::*;
use tyto_pqc::Secret32;

const TENANT: TenantId = TenantId([7; 16]);
const ALICE: PrincipalId = PrincipalId([1; 16]);
const GALLERY: GalleryId = GalleryId([5; 16]);
const OTHER: GalleryId = GalleryId([6; 16]);
const VERIFY: &str = "tyto.matching.v1.MatchingService/Verify";
const CREATE: &str = "tyto.gallery.v1.GalleryService/CreateGallery";
const LIST: &str = "tyto.gallery.v1.GalleryService/ListGalleries";
const START: u64 = 1_000_000_000_000;

struct World {
    check: KeyCheck,
    key: ApiKey,
    records: Records,
}

impl World {
    fn new() -> Self {
        let check = KeyCheck::new(Secret32::random().unwrap());
        let key = ApiKey::generate().unwrap();
        let tenant = TenantRecord { id: TENANT, name: "acme".into(), disabled: false, created_ms: START };
        let alice = PrincipalRecord {
            id: ALICE,
            tenant: TENANT,
            name: "alice".into(),
            operator: false,
            disabled: false,
            created_ms: START,
        };
        let stored = StoredKey {
            id: key.id(),
            principal: ALICE,
            verifier: check.verifier(&key),
            sealed_session: Vec::new(),
            created_ms: START,
            expires_ms: None,
            last_used_ms: 0,
            revoked_ms: None,
            rotated_from: None,
        };
        let (tenants, principals, keys) = (vec![tenant], vec![alice], vec![stored]);
        Self { check, key, records: Records { tenants, principals, keys, ..Records::default() } }
    }

    fn granting(mut self, role: Role, gallery: Option<GalleryId>, expires_ms: Option<u64>) -> Self {
        let id = GrantId([self.records.grants.len() as u8; 16]);
        self.records.grants.push(Grant {
            id,
            principal: ALICE,
            role,
            gallery,
            created_ms: START,
            expires_ms,
        });
        self
    }

    fn directory(&self) -> Directory {
        Directory::new(KeyRules::default(), self.records.clone())
    }

    fn authenticate(&self, now_ms: u64) -> Result<Caller, Denial> {
        self.directory().authenticate(&self.check, &self.key, now_ms)
    }
}

#[test]
fn only_the_whole_key_authenticates() {
    let world = World::new();
    let caller = world.authenticate(START).unwrap();
    assert_eq!((caller.tenant, caller.principal), (TENANT, ALICE));
    let stranger = ApiKey::generate().unwrap();
    let directory = world.directory();
    assert_eq!(directory.authenticate(&world.check, &stranger, START), Err(Denial::UnknownCredential));
    // The right id with a wrong secret, from either side.
    let other_server = KeyCheck::new(Secret32::random().unwrap());
    assert_eq!(directory.authenticate(&other_server, &world.key, START), Err(Denial::UnknownCredential));
    let mut world = world;
    world.records.keys[0].verifier = world.check.verifier(&stranger);
    assert_eq!(world.authenticate(START), Err(Denial::UnknownCredential));
}

#[test]
fn keys_end_by_age_by_disuse_by_date_and_by_hand() {
    let mut world = World::new();
    let day = DAY_MS;
    assert!(world.authenticate(START + 30 * day).is_ok());
    assert_eq!(world.authenticate(START + 30 * day + 1), Err(Denial::Unused { max_days: 30 }));
    world.records.keys[0].last_used_ms = START + 70 * day;
    assert!(world.authenticate(START + 90 * day).is_ok());
    assert_eq!(world.authenticate(START + 90 * day + 1), Err(Denial::TooOld { max_days: 90 }));
    world.records.keys[0].expires_ms = Some(START + 5);
    assert!(world.authenticate(START + 4).is_ok());
    assert_eq!(world.authenticate(START + 5), Err(Denial::Expired));
    world.records.keys[0].revoked_ms = Some(START + 2);
    for now_ms in [0, START + 1, START + 2] {
        assert_eq!(world.authenticate(now_ms), Err(Denial::Revoked), "whatever the clock says");
    }
}

#[test]
fn a_use_counts_across_a_change_of_the_directory() {
    let world = World::new();
    let first = world.directory();
    let later = START + 29 * DAY_MS;
    first.authenticate(&world.check, &world.key, later).unwrap();
    assert_eq!(first.last_uses(), [(world.key.id(), later)]);
    let second = world.directory().in_place_of(&first);
    assert!(second.authenticate(&world.check, &world.key, START + 58 * DAY_MS).is_ok());
    assert_eq!(
        first.last_used_ms(world.key.id()),
        START + 58 * DAY_MS,
        "a late look at the old one is right too"
    );
}

#[test]
fn a_key_whose_principal_or_tenant_is_disabled_proves_nobody() {
    let mut world = World::new();
    world.records.principals[0].disabled = true;
    assert_eq!(world.authenticate(START), Err(Denial::PrincipalDisabled));
    world.records.tenants[0].disabled = true;
    assert_eq!(world.authenticate(START), Err(Denial::TenantDisabled));
}

#[test]
fn what_was_revoked_after_authentication_is_denied_at_the_next_call() {
    let mut world = World::new().granting(Role::Matcher, None, None);
    let caller = world.authenticate(START).unwrap();
    let now = |world: &World| world.directory().authorise(&caller, VERIFY, Some(GALLERY), START + 9);
    assert_eq!(now(&world), Ok(()));
    let whole = world.records.clone();
    world.records.grants.clear();
    assert_eq!(now(&world), Err(Denial::Role));
    world.records = whole.clone();
    world.records.keys[0].revoked_ms = Some(START + 1);
    assert_eq!(now(&world), Err(Denial::Revoked));
    world.records.keys.clear();
    assert_eq!(now(&world), Err(Denial::Revoked));
    world.records = whole;
    world.records.principals[0].disabled = true;
    assert_eq!(now(&world), Err(Denial::PrincipalDisabled));
}

#[test]
fn a_grant_reaches_as_far_as_it_says_and_no_longer() {
    let world = World::new().granting(Role::Matcher, Some(GALLERY), Some(START + 10));
    let (directory, caller) = (world.directory(), world.authenticate(START).unwrap());
    let may = |method, gallery, now_ms| directory.authorise(&caller, method, gallery, now_ms);
    assert_eq!(may(VERIFY, Some(GALLERY), START + 9), Ok(()));
    assert_eq!(may(VERIFY, None, START), Ok(()), "it may be allowed once it names a gallery");
    assert_eq!(may(VERIFY, Some(OTHER), START), Err(Denial::Gallery(OTHER)));
    assert_eq!(may(VERIFY, Some(GALLERY), START + 10), Err(Denial::Role));
    assert_eq!(may(LIST, None, START), Ok(()));
    assert!(directory.may_see(&caller, GALLERY, START) && !directory.may_see(&caller, OTHER, START));
    assert_eq!(may(CREATE, None, START), Err(Denial::Role));
    assert_eq!(may("tyto.gallery.v1.GalleryService/Unheard", None, START), Err(Denial::UnknownMethod));
    let world = World::new().granting(Role::Admin, Some(GALLERY), None);
    let caller = world.authenticate(START).unwrap();
    assert_eq!(world.directory().authorise(&caller, CREATE, None, START), Err(Denial::WholeTenant));
}

#[test]
fn an_operator_has_no_role_in_any_tenant() {
    let mut world = World::new();
    world.records.principals[0].operator = true;
    let (directory, caller) = (world.directory(), world.authenticate(START).unwrap());
    assert_eq!(directory.authorise(&caller, VERIFY, Some(GALLERY), START), Err(Denial::Role));
    assert_eq!(directory.authorise(&caller, "tyto.attest.v1.AttestService/ListKeys", None, START), Ok(()));
}

#[test]
fn subjects_are_told_apart_by_who_vouches_for_them() {
    let mut world = World::new().granting(Role::Matcher, None, None);
    world.records.subjects.push(SubjectRecord {
        kind: SubjectKind::Token,
        issuer: "https://a".into(),
        subject: "alice".into(),
        principal: ALICE,
        created_ms: START,
    });
    let directory = world.directory();
    let caller = directory.of_subject(SubjectKind::Token, "https://a", "alice").unwrap();
    assert_eq!(directory.authorise(&caller, VERIFY, Some(GALLERY), START), Ok(()));
    let unknown = Err(Denial::UnknownCredential);
    assert_eq!(directory.of_subject(SubjectKind::Token, "https://b", "alice"), unknown);
    assert_eq!(directory.of_subject(SubjectKind::Certificate, "", "alice"), unknown);
    world.records.subjects.clear();
    let gone = world.directory().authorise(&caller, VERIFY, Some(GALLERY), START);
    assert_eq!(gone, Err(Denial::Revoked));
}

#[test]
fn what_outlasts_its_caller_needs_a_credential_even_where_none_is_required() {
    let (world, local) = (World::new(), Caller::local());
    let may = |method| world.directory().authorise(&local, method, None, START);
    assert_eq!((may(VERIFY), may(CREATE)), (Ok(()), Ok(())));
    assert_eq!(may("tyto.admin.v1.AdminService/CreateApiKey"), Err(Denial::NoCredential));
}

#[test]
fn a_tenant_that_cannot_be_administered_is_told_from_one_that_can() {
    let mut world = World::new().granting(Role::Admin, None, Some(START + 10));
    let usable = |world: &World, now_ms| world.directory().has_usable_admin(TENANT, now_ms);
    assert!(usable(&world, START));
    assert!(!usable(&world, START + 10), "the grant ended");
    world.records.keys[0].revoked_ms = Some(START);
    assert!(!usable(&world, START));
}

#[test]
fn a_sessions_key_proves_somebody_only_once_it_is_confirmed() {
    let mut world = World::new();
    world.records.keys[0].sealed_session = vec![7];
    let directory = world.directory();
    assert_eq!(directory.session_of_key(world.key.id()), Some(&[7][..]));
    assert_eq!(directory.confirm_key(world.key.id(), START + 3).unwrap().principal, ALICE);
    assert_eq!(directory.last_used_ms(world.key.id()), START + 3, "that is a use");
    world.records.keys[0].revoked_ms = Some(START);
    assert_eq!(world.directory().confirm_key(world.key.id(), START), Err(Denial::Revoked));
}
