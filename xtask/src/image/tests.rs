use std::process::Command;

use super::*;

fn archive() -> Vec<u8> {
    let mut bytes = Vec::new();
    Image::of(b"not really a program", "v0.1.0-1234567", 1_757_116_800).unwrap().write(&mut bytes).unwrap();
    bytes
}

/// Unpacks with the system's tar.
fn unpack(bytes: &[u8], to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    let file = to.join("archive.tar");
    std::fs::write(&file, bytes).unwrap();
    assert!(Command::new("tar").arg("-xf").arg(&file).arg("-C").arg(to).status().unwrap().success());
}

fn read(path: &Path) -> Value {
    serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap()
}

#[test]
fn an_archive_is_followed_from_its_index_to_the_binary() {
    let folder = tempfile::tempdir().unwrap();
    unpack(&archive(), folder.path());
    let blob = |described: &Value| {
        let digest = described["digest"].as_str().unwrap().strip_prefix("sha256:").unwrap().to_owned();
        let bytes = std::fs::read(folder.path().join("blobs/sha256").join(&digest)).unwrap();
        assert_eq!(Blob::of(bytes.clone()).digest, digest);
        assert_eq!(described["size"], bytes.len());
        bytes
    };
    assert_eq!(read(&folder.path().join("oci-layout"))["imageLayoutVersion"], "1.0.0");
    let index = read(&folder.path().join("index.json"));
    let manifest: Value = serde_json::from_slice(&blob(&index["manifests"][0])).unwrap();
    let config: Value = serde_json::from_slice(&blob(&manifest["config"])).unwrap();
    assert_eq!(config["config"]["Entrypoint"], json!(["/mesh"]));
    assert_eq!(config["config"]["Labels"]["org.opencontainers.image.version"], "v0.1.0-1234567");
    assert_eq!(config["rootfs"]["diff_ids"][0], manifest["layers"][0]["digest"]);
    let root = folder.path().join("root");
    unpack(&blob(&manifest["layers"][0]), &root);
    assert_eq!(std::fs::read(root.join("mesh")).unwrap(), b"not really a program");
    let docker = read(&folder.path().join("manifest.json"));
    assert_eq!(docker[0]["RepoTags"], json!(["mycelium/mesh:v0.1.0-1234567"]));
    for path in [&docker[0]["Config"], &docker[0]["Layers"][0]] {
        assert!(folder.path().join(path.as_str().unwrap()).exists());
    }
}

#[test]
fn the_same_goes_in_and_the_same_comes_out() {
    assert_eq!(archive(), archive());
}

#[test]
fn times_are_those_of_the_calendar() {
    for (seconds, text) in [
        (0, "1970-01-01T00:00:00Z"),
        (951_782_399, "2000-02-28T23:59:59Z"),
        (951_782_400, "2000-02-29T00:00:00Z"),
        (1_757_116_800, "2025-09-06T00:00:00Z"),
    ] {
        assert_eq!(rfc3339(seconds), text);
    }
}

#[test]
fn a_program_that_needs_an_interpreter_is_told_from_one_that_does_not() {
    let this = std::fs::read(std::env::current_exe().unwrap()).unwrap();
    assert!(!is_static(&this), "tests are linked dynamically");
    for end in [0, 5, 6, 20, 60, 64, 70] {
        assert!(!is_static(&this[..end]), "{end}");
    }
}
