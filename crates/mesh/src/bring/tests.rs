use super::*;

fn program() -> Program {
    Program {
        name: None,
        manifest: None,
        files: None,
        tag: None,
        key: None,
        interpreter: None,
        workload: None,
        cpu_milli: None,
        memory_mb: None,
    }
}

#[test]
fn a_file_name_becomes_the_name_of_an_app() {
    let name = |file: &str| app_name(file).map(|n| n.to_string());
    assert_eq!(name("My_Server.py").as_deref(), Some("my-server"));
    assert_eq!(name("billing").as_deref(), Some("billing"));
    assert_eq!(name("___"), None);
}

#[test]
fn a_manifest_is_inferred_from_the_flags() {
    let mut asked = program();
    asked.workload = Some("worker".into());
    asked.memory_mb = Some(7);
    let template = infer(Path::new("bin/watch.sh"), &asked).unwrap();
    assert_eq!((template.name().as_str(), template.command()), ("watch", "watch.sh"));
    assert_eq!((template.workload(), template.nutrients().memory_mb), (types::Workload::Worker, 7));
    assert!(template.provides().is_empty());
    asked.workload = Some("nonsense".into());
    assert!(infer(Path::new("bin/watch.sh"), &asked).is_err());
}
