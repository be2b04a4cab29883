//! How a command ends when it does not end well: what is printed, and the exit code.

use std::{fmt::Write as _, process::ExitCode};

use clap::{CommandFactory as _, error::ErrorKind};

use super::Cli;
use crate::{config::Problems, demo::OpenError};

/// Why the program ends without having done what was asked.
#[derive(Debug)]
pub enum Failure {
    /// Wrong usage; or help and version, which are no error.
    Usage { text: String, is_error: bool },
    /// Wrong settings.
    Settings(Problems),
    /// The command did not work, or something cannot be reached.
    Failed(anyhow::Error),
    /// As above, with everything said already.
    Silent,
}

impl Failure {
    /// 0 for help, 2 for wrong usage or settings, else 1.
    pub fn exit_code(&self) -> ExitCode {
        match self {
            Self::Usage { is_error: false, .. } => ExitCode::SUCCESS,
            Self::Usage { .. } | Self::Settings(_) => ExitCode::from(2),
            Self::Failed(_) | Self::Silent => ExitCode::from(1),
        }
    }

    /// Tells people on stderr (help goes to stdout).
    pub fn print(&self) {
        match self {
            Self::Usage { text, is_error: false } => super::print(text),
            _ => eprint!("{}", self.text()),
        }
    }

    fn text(&self) -> String {
        match self {
            Self::Usage { text, .. } => text.clone(),
            Self::Settings(problems) => {
                format!("error: {problems}\n\nAll settings are described in config/default.toml.\n")
            }
            Self::Failed(error) => chain(error),
            Self::Silent => String::new(),
        }
    }
}

impl From<Problems> for Failure {
    fn from(problems: Problems) -> Self {
        Self::Settings(problems)
    }
}

impl From<anyhow::Error> for Failure {
    fn from(error: anyhow::Error) -> Self {
        Self::Failed(error)
    }
}

impl From<OpenError> for Failure {
    fn from(error: OpenError) -> Self {
        match error {
            OpenError::Settings(problems) => Self::Settings(problems),
            OpenError::Other(error) => Self::Failed(error),
        }
    }
}

/// The error and its causes, a line each.
fn chain(error: &anyhow::Error) -> String {
    let mut text = format!("error: {error}\n");
    for cause in error.chain().skip(1) {
        // Writing to a String cannot fail.
        let _ = writeln!(text, "  because {cause}");
    }
    text
}

/// clap's message, with the valid choices where it does not name them.
pub fn explained(error: &clap::Error) -> Failure {
    let mut text = error.render().to_string();
    let is_error = error.use_stderr();
    match error.kind() {
        ErrorKind::InvalidSubcommand => {
            let names = with_command_in(&text, |command| {
                command.get_subcommands().map(|command| command.get_name().to_owned()).collect::<Vec<_>>()
            });
            let _ = write!(text, "\nThe commands are {}.\n", names.join(", "));
        }
        ErrorKind::UnknownArgument => {
            let flags = with_command_in(&text, |command| {
                command.get_arguments().filter_map(|flag| Some(format!("--{}", flag.get_long()?))).collect::<Vec<_>>()
            });
            let _ = write!(text, "\nThe flags are {}.\n", flags.join(", "));
        }
        ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand => return Failure::Usage { text, is_error: true },
        _ => {}
    }
    Failure::Usage { text, is_error }
}

/// Looks at the command that the usage line of `text` is about, at the whole program where there is none.
fn with_command_in<T>(text: &str, look: impl FnOnce(&clap::Command) -> T) -> T {
    let mut root = Cli::command();
    root.build();
    let mut command = &root;
    for word in text.split("Usage: tca").nth(1).unwrap_or_default().split_whitespace() {
        match command.find_subcommand(word) {
            Some(found) => command = found,
            None => break,
        }
    }
    look(command)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn causes_are_printed_a_line_each() {
        let error = anyhow::anyhow!("connection refused").context("cannot reach the database");
        assert_eq!(Failure::from(error).text(), "error: cannot reach the database\n  because connection refused\n");
    }
}
