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
