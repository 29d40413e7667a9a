//! Real processes, real policies, and every way in which either can fall.

#![expect(clippy::unwrap_used, reason = "helpers of tests fail as tests do")]

use policy::{Error, Evaluator, Module, Outcome};
use proptest::prelude::*;
use serde_json::{Value, json};

fn evaluator() -> Evaluator {
    Evaluator::new(env!("CARGO_BIN_EXE_policy-harness").into(), &[])
}

fn module(name: &str, rules: &str) -> Module {
    Module { name: name.to_owned(), rego: format!("package mesh.admission\n{rules}\n") }
}

fn reasons(rules: &str, input: Value) -> Result<Vec<String>, Error> {
    evaluator().reasons(&[module("a.rego", rules)], input)
}

/// Why there was no answer.
fn no(rules: &str) -> String {
    reasons(rules, json!({})).unwrap_err().to_string()
}

#[test]
fn every_value_of_deny_in_all_modules_is_a_reason_word_for_word() {
    let modules = [
        module("a.rego", "deny contains msg if { not input.owner; msg := \"no owner: «ü»\" }"),
        module("b.rego", "deny contains {\"msg\": \"b\"} if input.b\ndeny contains 7 if input.b"),
    ];
    let said = |input| evaluator().reasons(&modules, input).unwrap();
    assert_eq!(said(json!({ "owner": "x" })), Vec::<String>::new());
    assert_eq!(said(json!({})), ["no owner: «ü»"]);
    let mut both = said(json!({ "b": true }));
    both.sort();
    assert_eq!(both, ["7", "b", "no owner: «ü»"]);
}

#[test]
fn regular_expressions_and_formatting_are_there_and_the_outside_world_is_not() {
    let said = reasons(
        "deny contains sprintf(\"%s!\", [input.a]) if regex.match(`^x+$`, input.a)",
        json!({ "a": "xx" }),
    );
    assert_eq!(said.unwrap(), ["xx!"]);
    for outside in ["http.send({})", "time.now_ns()", "opa.runtime()", "rand.intn(\"a\", 9)"] {
        let said = no(&format!("deny contains msg if msg := {outside}"));
        assert!(said.contains("could not find function"), "{outside}: {said}");
    }
}

#[test]
fn what_cannot_be_computed_is_an_error_and_never_a_yes() {
    for (rules, expected) in [
        ("deny contains msg if msg := to_number(\"zz\")", "a.rego:2:40: could not parse string as number"),
        ("deny contains x if y", "a.rego:2:20: use of undefined variable `y` is unsafe"),
        ("deny contains x if {", "a.rego:"),
        ("allow if true", "no policy has a rule `deny` in `package mesh.admission`"),
        ("deny := true", "`deny` of mesh.admission is no set"),
        ("deny := x if x := input.nothing", "`deny` of mesh.admission is undefined"),
    ] {
        let said = no(rules);
        assert!(said.starts_with(&format!("evaluate the policies: {expected}")), "{rules}: {said}");
    }
    assert!(evaluator().reasons(&[], json!({})).is_err());
    assert!(evaluator().check(&[module("a.rego", "deny contains 1 if input.a")]).is_ok());
    assert!(evaluator().check(&[module("a.rego", "deny contains 1 if nonsense(1)")]).is_err());
    let many: Vec<_> = (0..=policy::MAX_MODULES).map(|n| module(&n.to_string(), "")).collect();
    assert!(evaluator().check(&many).unwrap_err().to_string().contains("257 policies are more than 256"));
}

#[test]
fn a_panic_of_the_engine_is_an_error_here() {
    // regorus 0.14 divides a text by an empty one.
    let said = no("deny contains x if x := strings.count(\"a\", \"\")");
    assert!(said.contains("the engine panicked: "), "{said}");
}

#[test]
fn what_goes_round_eats_memory_or_nests_too_deeply_is_ended() {
    let rounds = "n := numbers.range(1, 3000)\ndeny contains 1 if count([1 | some a in n; some b in n; some c in n; a + b == c + 0.5]) > 0";
    let said = no(rounds);
    assert!(said.contains("more than 2 s of CPU time"), "{said}");
    let said = no("deny contains 1 if count(numbers.range(1, 100000000)) > 0");
    assert!(said.contains("more than 256 MiB of memory") || said.contains("CPU time"), "{said}");
    let deep = format!("deny contains x if x := {}1{}", "[".repeat(200_000), "]".repeat(200_000));
    assert!(reasons(&deep, json!({})).is_err());
    let deep = format!("deny contains x if x := {}1{}", "(".repeat(900), ")".repeat(900));
    drop(reasons(&deep, json!({})));
}

#[test]
fn reasons_are_bounded() {
    let said =
        reasons("deny contains sprintf(\"%d\", [n]) if some n in numbers.range(1, 100)", json!({})).unwrap();
    assert_eq!((said.len(), said[32].as_str()), (33, "… and 68 more reasons"));
    let long =
        reasons("deny contains concat(\"\", [\"ü\" | some n in numbers.range(1, 5000)])", json!({})).unwrap();
    assert!(long[0].len() <= policy::MAX_REASON_BYTES + 3 && long[0].ends_with('…'), "{}", long[0].len());
}

#[test]
fn a_program_that_is_no_worker_is_an_error() {
    let ask = |program: &str, args: &[&str]| {
        Evaluator::new(program.into(), args)
            .reasons(&[module("a", "deny contains 1")], json!({}))
            .unwrap_err()
    };
    assert!(matches!(ask("/nowhere/mesh", &[]), Error::Machine(_)));
    assert!(matches!(ask("/bin/true", &[]), Error::Fell(_)));
    assert!(matches!(ask("/bin/sh", &["-c", "echo hello; exit 0"]), Error::Fell(_)));
    assert!(ask("/bin/sh", &["-c", "echo why >&2; exit 3"]).to_string().ends_with(": why"));
    assert!(matches!(ask("/bin/sh", &["-c", "head -c 9000000 /dev/zero"]), Error::Fell(_)));
}

#[test]
fn tests_are_found_and_run_each_for_itself() {
    let modules = [
        module("owner.rego", "deny contains \"no owner\" if not input.owner"),
        module(
            "owner_test.rego",
            "test_denied if \"no owner\" in deny with input as {}\n\
             test_allowed if count(deny) == 0 with input as {\"owner\": \"a\"}\n\
             test_wrong if count(deny) == 9\n\
             test_broken if to_number(\"zz\") == 1\n\
             test_panics if strings.count(\"a\", \"\") == 1\n\
             test_false := false\n\
             helper := \"test_not_one\" # test_nor_this",
        ),
        Module { name: "other.rego".into(), rego: "package lib.of.mine\ntest_there if true\n".into() },
    ];
    let tested = evaluator().test(&modules).unwrap();
    let of = |rule: &str| tested.iter().find(|of| of.rule == rule).map(|of| of.outcome.clone());
    assert_eq!(of("mesh.admission.test_denied"), Some(Outcome::Passed));
    assert_eq!(of("mesh.admission.test_allowed"), Some(Outcome::Passed));
    assert_eq!(of("mesh.admission.test_wrong"), Some(Outcome::Failed));
    assert_eq!(of("mesh.admission.test_false"), Some(Outcome::Failed));
    assert_eq!(of("lib.of.mine.test_there"), Some(Outcome::Passed));
    let error = |rule| match of(rule) {
        Some(Outcome::Error(why)) => why,
        other => panic!("{other:?}"),
    };
    assert!(error("mesh.admission.test_broken").contains("could not parse"));
    assert!(error("mesh.admission.test_panics").contains("panicked"));
    assert_eq!(tested.len(), 7, "{tested:?}");
    assert!(evaluator().test(&[module("a.rego", "x if y")]).is_err());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(60))]
    #[test]
    fn no_text_is_a_policy_that_lets_through_by_falling_over(rules in "[a-z {}\\[\\]:=\"\\\\0-9\n(),.|_]{0,120}") {
        // Whatever it is, it is an answer or an error; and where it denies always, there is no empty answer.
        let denies = format!("deny contains \"always\"\n{rules}");
        if let Ok(said) = reasons(&denies, json!({})) {
            prop_assert!(said.contains(&"always".to_owned()));
        }
    }
}
