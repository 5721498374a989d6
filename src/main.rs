//! The program: everything else is in the library, so that tests reach it.

fn main() -> std::process::ExitCode {
    minuted::main()
}
