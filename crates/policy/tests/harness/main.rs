//! For the tests: a worker, as `mesh policy-worker` is one.

fn main() -> std::process::ExitCode {
    policy::worker()
}
