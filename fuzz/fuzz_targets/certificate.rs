//! Any bytes as certificates, chains, successions and their texts: one form each, and believed only for a reason.

#![no_main]

use libfuzzer_sys::fuzz_target;
use soul::fuzzing::{NOW, chain_of_the_mesh, roots, succession_of_the_mesh};
use soul::{CLOCK_SKEW, Certificate, Chain, Role, Roots, Succession};

fuzz_target!(|data: &[u8]| {
    if let Ok(certificate) = Certificate::decode(data) {
        assert_eq!(certificate.encode(), data);
        assert_eq!(Certificate::from_pem(&certificate.to_pem()).unwrap(), certificate);
    }
    if let Ok(chain) = Chain::decode(data) {
        assert_eq!(chain.encode(), data);
        check(chain);
    }
    if let Ok(succession) = Succession::decode(data) {
        assert_eq!(succession.encode(), data);
        let mut roots = roots();
        let succession = succession_of_the_mesh(succession);
        if roots.apply(&succession) == Ok(true) {
            assert_eq!(roots.root(), succession.root);
            assert_eq!(roots.apply(&succession), Ok(false));
            assert_eq!(Roots::from_pem(&roots.to_pem()).unwrap(), roots);
        }
    }
    let Ok(text) = std::str::from_utf8(data) else { return };
    if let Ok(chain) = Chain::from_pem(text) {
        assert_eq!(chain.to_pem().trim(), text.trim());
        check(chain);
    }
    if let Ok(roots) = Roots::from_pem(text) {
        assert_eq!(roots.to_pem().trim(), text.trim());
    }
});

fn check(chain: Chain) {
    let roots = roots();
    let chain = chain_of_the_mesh(chain);
    assert_eq!(Chain::decode(&chain.encode()).unwrap(), chain);
    if let Ok(member) = chain.verify(&roots, NOW) {
        assert!(chain.issuer.role == Role::Issuer && chain.membership.role == Role::Member(member.name));
        assert!(member.expires + CLOCK_SKEW >= NOW);
    }
}
