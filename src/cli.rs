//! The command line: arguments, settings for the command, exit codes. What a command does stands in a file of its own.

use std::{collections::BTreeMap, ffi::OsString, io::IsTerminal as _, path::PathBuf};

use clap::{Args, Parser, Subcommand, builder::PossibleValuesParser, builder::TypedValueParser as _};

use crate::{
    config::{self, Inputs, Needs, Settings},
    roles::Role,
};

mod check;
mod demo;
mod failure;
mod healthcheck;
mod jobs;
mod migrate;
mod serve;
mod show_config;
mod signals;
mod twitch_sim;

pub use failure::Failure;

/// Shows who is in a Twitch channel's chat, and which accounts do not belong.
#[derive(Debug, Parser)]
#[command(name = "tca", bin_name = "tca", version, propagate_version = true, disable_help_subcommand = true)]
#[command(after_help = "Examples:\n  tca demo           look around, nothing else needed\n  tca serve          run \
    everything on this machine\n\nEvery setting is described in config/default.toml.")]
pub struct Cli {
    /// The folder of the settings files; without it: config, if there is one.
    #[arg(long, global = true, value_name = "FOLDER")]
    config_dir: Option<PathBuf>,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Runs the roles: all of them, or those that are named.
    #[command(
        after_help = "Examples:\n  tca serve\n  tca serve --role worker --role analysis\n  tca serve --role gateway,worker"
    )]
    Serve(Roles),
    /// Runs everything with sample data and a Twitch of its own; prints the address to open.
    #[command(after_help = "Example:\n  tca demo")]
    Demo,
    /// Runs only the Twitch simulator.
    #[command(after_help = "Example:\n  TWITCH_SIM_PORT=8090 tca twitch-sim\n\nIts client is demo, with the secret \
        demo-secret.")]
    TwitchSim,
    /// Brings the schema of the database up to date; several may start at once.
    #[command(after_help = "Examples:\n  tca migrate\n  tca migrate --status")]
    Migrate(Migrate),
    /// Looks after the queue: lists it, runs failed jobs again, removes ended ones.
    #[command(
        subcommand,
        disable_help_subcommand = true,
        after_help = "Examples:\n  tca jobs list --status failed\n  \
        tca jobs retry 42\n  tca jobs retry --failed\n  tca jobs prune --older-than 7"
    )]
    Jobs(jobs::Jobs),
    /// Checks the settings, the database, Redis and Twitch, and says what to do.
    #[command(after_help = "Example:\n  tca check --role gateway")]
    Check(Roles),
    /// Shows every setting, its value and where it comes from; secrets stay hidden.
    #[command(after_help = "Example:\n  LOG_LEVEL=debug tca config")]
    Config(Roles),
    /// Succeeds when every role of this container answers and has been ready once since its start.
    #[command(after_help = "Example:\n  HEALTHCHECK CMD [\"tca\", \"healthcheck\"]\n\nThe roles are those of this \
        container's first process, unless --role names others.")]
    Healthcheck(Roles),
}

#[derive(Debug, Args)]
struct Roles {
    /// A role, or several with commas; may be repeated. Without it: all.
    #[arg(long = "role", value_name = "ROLE", value_delimiter = ',', value_parser = role_parser())]
    roles: Vec<Role>,
}

#[derive(Debug, Args)]
struct Migrate {
    /// Lists what was applied and what is pending; changes nothing.
    #[arg(long)]
    status: bool,
}

fn role_parser() -> impl clap::builder::TypedValueParser<Value = Role> {
    PossibleValuesParser::new(Role::ALL.map(Role::as_str)).try_map(|name| name.parse::<Role>())
}

/// Reads the arguments, the program's name first. `--help` and `--version` come as a [`Failure`] too, with exit code 0.
pub fn parse(arguments: impl IntoIterator<Item = OsString>) -> Result<Cli, Failure> {
    Cli::try_parse_from(arguments).map_err(|error| failure::explained(&error))
}

/// Runs the command.
pub async fn run(cli: Cli) -> Result<(), Failure> {
    let start = Start { env: environment(), config_dir: config_dir(cli.config_dir)? };
    match cli.command {
        Command::Serve(roles) => serve::run(start.settings(roles.roles, Needs::Roles)?).await,
        Command::Demo => demo::run(&start).await,
        Command::TwitchSim => twitch_sim::run(start.settings(Vec::new(), Needs::ValuesOnly)?).await,
        Command::Migrate(migrate) => migrate::run(start.settings(Vec::new(), Needs::ValuesOnly)?, migrate.status).await,
        Command::Jobs(jobs) => jobs::run(start.settings(Vec::new(), Needs::ValuesOnly)?, jobs).await,
        Command::Check(roles) => check::run(&start.inputs(roles.roles, Needs::Roles)).await,
        Command::Config(roles) => show_config::run(&start.inputs(roles.roles, Needs::Roles)),
        Command::Healthcheck(roles) => healthcheck::run(&start, roles.roles).await,
    }
}

/// What a command starts from.
struct Start {
    env: BTreeMap<String, String>,
    config_dir: PathBuf,
}

impl Start {
    /// Whether log lines go to a terminal.
    fn is_terminal() -> bool {
        std::io::stderr().is_terminal()
    }

    fn inputs(&self, roles: Vec<Role>, needs: Needs) -> Inputs {
        Inputs {
            env: self.env.clone(),
            config_dir: self.config_dir.clone(),
            roles,
            flags: Vec::new(),
            is_terminal: Self::is_terminal(),
            needs,
        }
    }

    fn settings(&self, roles: Vec<Role>, needs: Needs) -> Result<Settings, Failure> {
        Ok(config::load(&self.inputs(roles, needs))?)
    }
}

/// A folder that is named must be there; the usual one may be missing, because the defaults are built in.
fn config_dir(named: Option<PathBuf>) -> Result<PathBuf, Failure> {
    match named {
        Some(folder) if !folder.is_dir() => {
            let text = format!("error: --config-dir: {} is not a folder\n", folder.display());
            Err(Failure::Usage { text, is_error: true })
        }
        named => Ok(named.unwrap_or_else(|| PathBuf::from("config"))),
    }
}

/// The one place that looks at the environment. Variables that are not text cannot be settings.
fn environment() -> BTreeMap<String, String> {
    std::env::vars_os()
        .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
        .collect()
}

/// Prints to stdout. A reader that went away (`tca config | head`) is no error.
fn print(text: &str) {
    use std::io::Write as _;
    let mut stdout = std::io::stdout().lock();
    let _ = stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush());
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    fn parsed(arguments: &str) -> Result<Cli, Failure> {
        parse(arguments.split(' ').map(OsString::from))
    }

    fn roles_of(arguments: &str) -> Vec<Role> {
        match parsed(arguments).unwrap().command {
            Command::Serve(roles) | Command::Check(roles) | Command::Config(roles) | Command::Healthcheck(roles) => {
                roles.roles
            }
            other => panic!("{other:?} has no roles"),
        }
    }

    fn usage(arguments: &str) -> String {
        match parsed(arguments) {
            Err(Failure::Usage { text, is_error: true }) => text,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn the_arguments_are_declared_without_contradiction() {
        Cli::command().debug_assert();
    }

    #[test]
    fn roles_are_repeated_or_comma_separated() {
        assert_eq!(roles_of("tca serve"), []);
        assert_eq!(roles_of("tca serve --role gateway --role worker"), [Role::Gateway, Role::Worker]);
        assert_eq!(roles_of("tca serve --role gateway,twitch-proxy"), [Role::Gateway, Role::TwitchProxy]);
    }

    #[test]
    fn an_unknown_role_flag_or_command_lists_the_valid_ones() {
        assert!(usage("tca serve --role gatewy").contains("gateway, worker, analysis, twitch-proxy"));
        let flag = usage("/somewhere/tca-2 serve --rolle x");
        assert!(flag.contains("The flags are --role, --config-dir, --help, --version."), "{flag}");
        let flag = usage("tca --rolle x");
        assert!(flag.contains("The flags are --config-dir, --help, --version."), "{flag}");
        let command = usage("tca sreve");
        assert!(command.contains("serve, demo, twitch-sim, migrate, jobs, check, config, healthcheck"), "{command}");
        let command = usage("tca jobs lits");
        assert!(command.contains("The commands are list, retry, prune."), "{command}");
        let flag = usage("tca jobs list --stauts failed");
        assert!(flag.contains("The flags are --status, --limit, --config-dir"), "{flag}");
        assert!(usage("tca jobs list --status lost").contains("pending, scheduled, running, done, failed, cancelled"));
    }

    #[test]
    fn a_retry_names_one_job_or_all_that_failed() {
        assert!(parsed("tca jobs retry 42").is_ok() && parsed("tca jobs retry --failed").is_ok());
        for wrong in
            ["tca jobs retry", "tca jobs retry 42 --failed", "tca jobs retry x", "tca jobs prune --older-than -1"]
        {
            usage(wrong);
        }
        usage("tca jobs");
    }

    #[test]
    fn a_folder_of_settings_that_is_named_must_be_there() {
        assert!(config_dir(None).is_ok());
        assert!(matches!(config_dir(Some("/no/such/folder".into())), Err(Failure::Usage { is_error: true, .. })));
    }

    #[test]
    fn help_with_an_example_stands_on_every_command() {
        fn check(command: &clap::Command, path: &str) {
            for command in command.get_subcommands() {
                let path = format!("{path} {}", command.get_name());
                let help = parsed(&format!("{path} --help")).unwrap_err();
                let Failure::Usage { text, is_error: false } = help else { panic!("{help:?}") };
                assert!(text.contains("Example"), "{text}");
                check(command, &path);
            }
        }
        check(&Cli::command(), "tca");
        assert!(matches!(parsed("tca --version"), Err(Failure::Usage { is_error: false, .. })));
    }
}
