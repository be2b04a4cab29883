//! Parses the arguments, runs the command, prints the error chain, sets the exit code.

fn main() {}
