//! Every manifest in `examples/` is one.

use std::fs;

use spore::Template;

#[test]
fn every_example_is_a_template() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../../examples");
    let mut names = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_some_and(|end| end == "json") {
            let template = Template::from_slice(&fs::read(&path).unwrap());
            let template = template.unwrap_or_else(|error| panic!("{}: {error}", path.display()));
            assert_eq!(path.file_stem().unwrap(), template.name().as_str());
            names.push(template.name().to_string());
        }
    }
    names.sort();
    assert_eq!(names, ["billing", "frontend", "go", "java", "node", "python", "report", "watcher"]);
}
