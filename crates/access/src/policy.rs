//! The table of rights: every method of every service, and who may call it.
//!
//! What is not in the table may nobody call. `docs/access.md` shows the same table; a test compares the two, another
//! compares the table with the interface and with what a running server does.

use crate::{Role, Roles};

/// What a method is about, and so which grants count for it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Scope {
    /// Nothing that belongs to anybody: no credential is needed.
    Open,
    /// What the server has for all its tenants: a grant of any kind counts.
    Server,
    /// One gallery: a grant for it or for the whole tenant counts.
    Gallery,
    /// The tenant's galleries: a grant of any kind counts, and the answer shows what it covers.
    Galleries,
    /// The tenant: only grants for the whole tenant count.
    Tenant,
    /// What is above tenants: no grant counts.
    Operator,
}

impl Scope {
    /// The word that stands for it in the documentation.
    pub fn name(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Server => "server",
            Self::Gallery => "gallery",
            Self::Galleries => "galleries",
            Self::Tenant => "tenant",
            Self::Operator => "operator",
        }
    }
}

/// Who may call a method.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Rule {
    /// Package, service and method: the path of the call without the slash in front.
    pub method: &'static str,
    /// What it is about.
    pub scope: Scope,
    /// The roles that may call it.
    pub roles: Roles,
    /// Whether operators may.
    pub operator: bool,
    /// Whether what it changes outlasts whoever calls: then nobody may without a credential, not even where none is
    /// required.
    pub lasting: bool,
}

const fn rule(method: &'static str, scope: Scope, roles: &[Role], operator: bool) -> Rule {
    Rule { method, scope, roles: Roles::of(roles), operator, lasting: is_of_admin(method) }
}

/// Whether a method is one of `tyto.admin.v1`.
const fn is_of_admin(method: &str) -> bool {
    let (method, package) = (method.as_bytes(), b"tyto.admin.v1.");
    let mut i = 0;
    while i < package.len() {
        if i >= method.len() || method[i] != package[i] {
            return false;
        }
        i += 1;
    }
    true
}

const ANYONE: &[Role] = &Role::ALL;

/// The table.
pub const TABLE: &[Rule] = {
    use Role::{Admin, Auditor, Enroller, Matcher};
    use Scope::{Galleries, Gallery, Open, Operator, Server, Tenant};
    &[
        rule("grpc.health.v1.Health/Check", Open, ANYONE, true),
        rule("grpc.health.v1.Health/Watch", Open, ANYONE, true),
        rule("grpc.reflection.v1.ServerReflection/ServerReflectionInfo", Open, ANYONE, true),
        rule("tyto.admin.v1.AdminService/CreateTenant", Operator, &[], true),
        rule("tyto.admin.v1.AdminService/ListTenants", Operator, &[], true),
        rule("tyto.admin.v1.AdminService/SetTenantState", Operator, &[], true),
        rule("tyto.admin.v1.AdminService/AddTenantAdmin", Operator, &[], true),
        rule("tyto.admin.v1.AdminService/BindSubject", Operator, &[], true),
        rule("tyto.admin.v1.AdminService/UnbindSubject", Operator, &[], true),
        rule("tyto.admin.v1.AdminService/CreatePrincipal", Tenant, &[Admin], false),
        rule("tyto.admin.v1.AdminService/SetPrincipalState", Tenant, &[Admin], false),
        rule("tyto.admin.v1.AdminService/CreateApiKey", Tenant, &[Admin], false),
        rule("tyto.admin.v1.AdminService/RotateApiKey", Tenant, &[Admin], false),
        rule("tyto.admin.v1.AdminService/RotateOwnKey", Server, ANYONE, true),
        rule("tyto.admin.v1.AdminService/RevokeApiKey", Tenant, &[Admin], false),
        rule("tyto.admin.v1.AdminService/AddGrant", Tenant, &[Admin], false),
        rule("tyto.admin.v1.AdminService/RevokeGrant", Tenant, &[Admin], false),
        rule("tyto.admin.v1.AdminService/Review", Tenant, &[Admin, Auditor], false),
        rule("tyto.session.v1.SessionService/Handshake", Open, ANYONE, true),
        rule("tyto.attest.v1.AttestService/Attest", Server, &[Admin, Enroller, Matcher], false),
        rule("tyto.attest.v1.AttestService/GetCheckpoint", Server, ANYONE, true),
        rule("tyto.attest.v1.AttestService/GetReceipt", Server, ANYONE, true),
        rule("tyto.attest.v1.AttestService/GetConsistencyProof", Server, ANYONE, true),
        rule("tyto.attest.v1.AttestService/ListKeys", Server, ANYONE, true),
        rule("tyto.gallery.v1.GalleryService/CreateGallery", Tenant, &[Admin], false),
        rule("tyto.gallery.v1.GalleryService/DescribeGallery", Gallery, ANYONE, false),
        rule("tyto.gallery.v1.GalleryService/ListGalleries", Galleries, ANYONE, false),
        rule("tyto.gallery.v1.GalleryService/DeleteGallery", Gallery, &[Admin], false),
        rule("tyto.gallery.v1.GalleryService/Provision", Gallery, &[Enroller], false),
        rule("tyto.gallery.v1.GalleryService/GetUpload", Gallery, &[Enroller], false),
        rule("tyto.gallery.v1.GalleryService/Enrol", Gallery, &[Enroller], false),
        rule("tyto.gallery.v1.GalleryService/Remove", Gallery, &[Enroller], false),
        rule("tyto.gallery.v1.GalleryService/ListTemplates", Gallery, &[Enroller, Auditor], false),
        rule("tyto.gallery.v1.GalleryService/FetchRecords", Gallery, &[Enroller, Matcher], false),
        rule("tyto.gallery.v1.GalleryService/FetchDeltas", Gallery, &[Enroller], false),
        rule("tyto.matching.v1.MatchingService/UploadTicket", Gallery, &[Matcher], false),
        rule("tyto.matching.v1.MatchingService/Verify", Gallery, &[Matcher], false),
        rule("tyto.matching.v1.MatchingService/Identify", Gallery, &[Matcher], false),
    ]
};

/// The rule of a method, named as in [`Rule::method`].
pub fn rule_of(method: &str) -> Option<&'static Rule> {
    TABLE.iter().find(|rule| rule.method == method)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_documentation_shows_this_table() {
        let page = include_str!("../../../docs/access.md");
        let cell = |text: &str| text.trim().trim_matches('`').to_owned();
        let rows = page.lines().filter(|line| line.starts_with("| `"));
        let rows = rows.map(|line| line.trim_matches('|').split('|').map(cell).collect());
        // The page has other tables as well.
        let shown: Vec<Vec<String>> = rows.filter(|row: &Vec<_>| row.len() == 8).collect();
        let yes = |allowed: bool| if allowed { "yes" } else { "" }.to_owned();
        let expected = |rule: &Rule| {
            let open = rule.scope == Scope::Open;
            let mut row = vec![rule.method.to_owned(), rule.scope.name().to_owned(), yes(open)];
            row.extend(Role::ALL.map(|role| yes(rule.roles.contains(role))));
            row.push(yes(rule.operator));
            row
        };
        assert!(!shown.is_empty(), "the page has a table");
        assert_eq!(shown, TABLE.iter().map(expected).collect::<Vec<_>>(), "left: docs/access.md");
    }

    #[test]
    fn no_method_has_two_rules_and_operators_touch_no_tenants_data() {
        for (i, rule) in TABLE.iter().enumerate() {
            assert!(TABLE[..i].iter().all(|other| other.method != rule.method), "{}", rule.method);
            let of_tenants = matches!(rule.scope, Scope::Gallery | Scope::Galleries | Scope::Tenant);
            assert!(!(rule.operator && of_tenants), "{}", rule.method);
        }
        assert!(rule_of("tyto.gallery.v1.GalleryService/Enrol").is_some());
        assert!(rule_of("/tyto.gallery.v1.GalleryService/Enrol").is_none());
    }
}
