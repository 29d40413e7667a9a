//! A program for the tests: a keeper, as `mesh keeper` is one, and workloads of all sorts.
fn main() -> std::process::ExitCode {
    let args: Vec<String> = std::env::args().collect();
    match args.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        [_, "keeper", "--dir", dir] => membrane::keeper_main(std::path::Path::new(dir)),
        _ => std::process::ExitCode::from(64),
    }
}
