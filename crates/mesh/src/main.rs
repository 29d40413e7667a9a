//! The `mesh` binary: everything is in the library, so that tests and tools can reach it.

fn main() -> std::process::ExitCode {
    mesh::main(std::env::args_os())
}
