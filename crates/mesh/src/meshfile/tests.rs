use super::*;

#[test]
fn a_file_says_what_runs() {
    let file = MeshFile::parse(
        "[mesh]\nnodes = 3\nedge = \":8080\"\nwarmup = \"500ms\"\n\
         [app.billing]\nmanifest = \"m.json\"\nbinary = \"b\"\ninstances = 2\nenv = { A = \"1\" }\n",
    )
    .unwrap();
    assert_eq!((file.mesh.nodes, file.mesh.edge.unwrap().0.port()), (Some(3), 8080));
    let billing = file.app.values().next().unwrap();
    assert_eq!(billing.replicas(), Ok(Some((2, 2))));
    assert_eq!(billing.env.as_ref().unwrap()["A"], "1");
}

#[test]
fn what_makes_no_sense_is_named() {
    let refused = |text: &str| MeshFile::parse(text).unwrap_err();
    assert!(refused("[app.x]\nmanifest = \"m\"\nbinary = \"b\"\nreplicas = 2").contains("`replicas`"));
    assert!(refused("[app.Bad]\nmanifest = \"m\"\nbinary = \"b\"").contains("\"Bad\""));
    assert!(refused("[mesh]\nnodes = 0").contains("at least one node"));
    assert!(refused("[mesh]\nedge = \"8080x\"").contains("127.0.0.1:8080"));
    let both = "[app.x]\nmanifest = \"m\"\nbinary = \"b\"\ninstances = 2\nmin = 1";
    assert!(refused(both).contains("[app.x] instances"));
}

#[test]
fn the_fuzz_corpus_is_read_as_its_names_say() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../../fuzz/corpus/mesh_toml");
    let read = |name: &str| std::fs::read_to_string(format!("{folder}/{name}")).unwrap();
    for entry in std::fs::read_dir(folder).unwrap() {
        let bytes = std::fs::read(entry.unwrap().path()).unwrap();
        drop(crate::fuzzing::mesh_file(&String::from_utf8_lossy(&bytes)));
    }
    let bounds = |name: &str| crate::fuzzing::mesh_file(&read(name)).unwrap();
    assert_eq!(bounds("empty.toml"), []);
    assert_eq!(bounds("everything.toml"), [("billing".to_owned(), Some((1, 5))), ("web-2".to_owned(), None)]);
    assert_eq!(bounds("one-app.toml"), [("a".to_owned(), Some((2, 2)))]);
    let refused = [
        ("min-over-max.toml", "[app.a] min: 3 is more than max (2)"),
        ("instances-and-max.toml", "[app.a] instances"),
        ("no-nodes.toml", "at least one node"),
        ("unknown-field.toml", "`replicas`"),
        ("port-too-high.toml", "65536"),
        ("span-without-unit.toml", "length of time"),
        ("twice.toml", "duplicate key"),
        ("host-by-name.toml", "looked up"),
    ];
    for (name, part) in refused {
        let said = crate::fuzzing::mesh_file(&read(name)).unwrap_err();
        assert!(said.contains(part), "{name}: {said}");
    }
}
