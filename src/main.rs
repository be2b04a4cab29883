//! Parses the arguments, runs the command, prints the error chain, sets the exit code.

use std::process::ExitCode;

#[tokio::main]
async fn main() -> ExitCode {
    // Fails only when a provider is installed already, which is as good.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let result = match tca::cli::parse(std::env::args_os()) {
        Ok(cli) => tca::cli::run(cli).await,
        Err(failure) => Err(failure),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            failure.print();
            failure.exit_code()
        }
    }
}
