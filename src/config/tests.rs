//! Behaviour of the settings as a whole, from inputs to what is shown.

use std::{collections::BTreeSet, fs, path::Path};

use secrecy::ExposeSecret;
use tempfile::TempDir;

use super::*;

const SECRET: &str = "0123456789abcdef0123456789abcdef";

fn inputs(env: &[(&str, &str)]) -> Inputs {
    Inputs {
        env: env.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect(),
        config_dir: PathBuf::from("no-such-folder"),
        roles: Vec::new(),
        flags: Vec::new(),
        is_terminal: false,
        needs: Needs::Roles,
    }
}

fn with_roles(env: &[(&str, &str)], roles: &[Role]) -> Inputs {
    Inputs { roles: roles.to_vec(), ..inputs(env) }
}

fn settings(env: &[(&str, &str)]) -> Settings {
    load(&inputs(env)).unwrap()
}

/// The problems as lines.
fn problems(inputs: &Inputs) -> Vec<String> {
    match load(inputs) {
        Ok(_) => Vec::new(),
        Err(problems) => problems.0.iter().map(ToString::to_string).collect(),
    }
}

fn source_of(inputs: &Inputs, key: &str) -> (String, String) {
    let row = read(inputs).rows.into_iter().find(|row| row.key == key).unwrap();
    (row.value, row.source)
}

fn folder(files: &[(&str, &str)]) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    for (name, text) in files {
        fs::write(folder.path().join(name), text).unwrap();
    }
    folder
}

fn in_folder(folder: &TempDir, env: &[(&str, &str)]) -> Inputs {
    Inputs { config_dir: folder.path().to_owned(), ..inputs(env) }
}

#[test]
fn with_nothing_set_everything_runs_in_one_process_on_sqlite() {
    let settings = settings(&[]);
    assert_eq!(settings.env, AppEnv::Development);
    assert_eq!(settings.roles, RoleSet::all());
    assert_eq!(settings.database.url.expose_secret(), "sqlite://data/tca.db");
    assert_eq!(settings.secrets.secret_file.as_deref(), Some(Path::new("data/tca.secret")));
    assert!(settings.redis_url.is_none() && settings.secrets.session.is_empty() && settings.secrets.may_be_made);
    assert_eq!((settings.ports.gateway, settings.ports.twitch_sim), (8080, 8090));
    assert_eq!(settings.twitch.redirect_url.as_str(), "http://localhost:8080/auth/callback");
    assert_eq!(settings.cache_ttl, Duration::from_mins(5));
    assert_eq!(settings.log.format, LogFormat::Json);
}

#[test]
fn the_defaults_are_shown() {
    insta::assert_snapshot!(shown_table(&read(&inputs(&[])).rows));
}

#[test]
fn every_setting_stands_in_the_reference_and_nothing_else_does() {
    let mut section = String::new();
    let mut keys = BTreeSet::new();
    for line in layers::BUILT_IN.lines() {
        if let Some(name) = line.strip_prefix('[').and_then(|line| line.strip_suffix(']')) {
            name.clone_into(&mut section);
        } else if let Some((name, _)) = line.trim_start_matches("# ").split_once(" = ")
            && name.bytes().all(|b| b.is_ascii_lowercase() || b == b'_')
        {
            assert!(keys.insert(format!("{section}.{name}")), "{name} twice");
        }
    }
    let table: BTreeSet<String> = TABLE.iter().map(|row| row.key.to_owned()).collect();
    assert_eq!(keys, table);
    let variables: BTreeSet<&str> = TABLE.iter().map(|row| row.variable).collect();
    assert_eq!(variables.len(), TABLE.len(), "a variable belongs to one setting");
    for variable in variables {
        assert!(layers::BUILT_IN.contains(&format!("[{variable}]")), "{variable} is not in config/default.toml");
    }
}

#[test]
fn rows_say_what_holds_exactly_where_there_is_no_fixed_default() {
    let mut problems = Vec::new();
    let empty = folder(&[]);
    let merged = layers::merge(&in_folder(&empty, &[]), &mut problems);
    assert_eq!(problems, []);
    for row in TABLE {
        assert_eq!(row.absent.is_empty(), merged.contains_key(row.key), "{}", row.key);
        assert!(!row.doc.is_empty());
    }
}

#[test]
fn all_problems_are_found_at_once_each_with_key_and_variable() {
    let found = problems(&inputs(&[
        ("APP_ENV", "staging"),
        ("APP_SESSION_SECRET", "short"),
        ("WORKER_CONCURRENCY", "0"),
        ("GATEWAY_PORT", "65536"),
        ("REDIS_URL", "http://redis"),
        ("DATABASE_URL", "postgres://db/tca"),
        ("BIND_ADDR", "localhost"),
        ("TRUSTED_PROXIES", "10.0.0.0/8, proxy"),
        ("SHUTDOWN_GRACE", "soon"),
        ("LOG_LEVEL", "loud"),
        ("LOG_FORMAT", "xml"),
        ("PUBLIC_URL", "example.org"),
        ("OPS_LOGINS", "alice, bob!"),
        ("JOB_POLL_INTERVAL", "0"),
    ]));
    insta::assert_snapshot!(found.join("\n"));
}

#[test]
fn later_layers_win_and_are_named() {
    let folder = folder(&[
        ("default.toml", "[worker]\nconcurrency = 1\n[cache]\nttl = 1\n[limits]\nmax_chatters = 1\nretention_days = 1"),
        ("test.toml", "[cache]\nttl = 2\n[limits]\nmax_chatters = 2\nretention_days = 2"),
        ("local.toml", "[limits]\nmax_chatters = 3\nretention_days = 3\n[worker]\npoll_interval = \"500ms\""),
        ("production.toml", "[limits]\nmax_chatters = 99"),
    ]);
    let mut inputs = in_folder(&folder, &[("APP_ENV", "test"), ("RETENTION_DAYS", "4"), ("MAX_CHATTERS", "4")]);
    inputs.flags.push(("limits.retention_days".to_owned(), "5".to_owned()));
    let settings = load(&inputs).unwrap();
    assert_eq!(settings.worker.concurrency, 1);
    assert_eq!(settings.worker.poll_interval, Duration::from_millis(500));
    assert_eq!(settings.cache_ttl, Duration::from_secs(2));
    assert_eq!(settings.limits.max_chatters, 4);
    assert_eq!(settings.limits.retention_days, 5);
    let file = |name: &str| folder.path().join(name).display().to_string();
    assert_eq!(source_of(&inputs, "worker.concurrency").1, file("default.toml"));
    assert_eq!(source_of(&inputs, "cache.ttl").1, file("test.toml"));
    assert_eq!(source_of(&inputs, "worker.poll_interval").1, file("local.toml"));
    assert_eq!(source_of(&inputs, "limits.max_chatters").1, "MAX_CHATTERS");
    assert_eq!(source_of(&inputs, "limits.retention_days").1, "flag");
    assert_eq!(source_of(&inputs, "limits.captures_per_hour").1, "default");
}

#[test]
fn the_shipped_files_change_nothing() {
    let shipped = Inputs { config_dir: PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/config")), ..inputs(&[]) };
    assert_eq!(read(&shipped).rows, read(&inputs(&[])).rows);
}

#[test]
fn an_empty_variable_counts_as_not_set() {
    let settings = settings(&[("REDIS_URL", ""), ("GATEWAY_PORT", " "), ("TWITCH_CLIENT_SECRET", ""), ("APP_ENV", "")]);
    assert!(settings.redis_url.is_none() && settings.twitch.client_secret.is_none());
    assert_eq!(settings.ports.gateway, 8080);
}

#[test]
fn unknown_keys_name_the_file_and_a_close_key() {
    let folder = folder(&[("local.toml", "[databse]\nurl = \"x\"\n[worker]\nconcurency = 3\n[zebra]\nstripes = 9")]);
    let file = folder.path().join("local.toml").display().to_string();
    let found = problems(&in_folder(&folder, &[]));
    assert!(found.contains(&format!("databse.url: unknown key in {file}; did you mean database.url?")), "{found:?}");
    assert!(
        found.contains(&format!("worker.concurency: unknown key in {file}; did you mean worker.concurrency?")),
        "{found:?}"
    );
    assert!(found.contains(&format!("zebra.stripes: unknown key in {file}")), "{found:?}");
}

#[test]
fn a_file_that_is_no_toml_is_a_problem_that_quotes_nothing() {
    let folder = folder(&[("local.toml", "[twitch]\nclient_secret = \"hunter2\nx = 1\n")]);
    let found = problems(&in_folder(&folder, &[("WORKER_PORT", "x")]));
    assert_eq!(found.len(), 2, "{found:?}");
    assert!(found[0].contains("local.toml: is not valid TOML: TOML parse error at line 2"), "{found:?}");
    assert!(!found[0].contains("hunter2"), "{found:?}");
}

#[test]
fn app_env_cannot_be_set_in_a_file() {
    let folder = folder(&[("local.toml", "[app]\nenv = \"production\"")]);
    let found = problems(&in_folder(&folder, &[]));
    assert!(found[0].starts_with("app.env (APP_ENV): cannot be set in "), "{found:?}");
}

#[test]
fn secrets_come_from_files_without_the_newline_at_the_end() {
    let folder = folder(&[("secret", &format!("{SECRET}\n")), ("local.toml", "")]);
    let path = folder.path().join("secret").display().to_string();
    for row in TABLE.iter().filter(|row| row.secret && !matches!(row.kind, Kind::ServerUrl(_))) {
        let variable = row.file_variable().unwrap();
        let inputs = in_folder(&folder, &[(&variable, &path)]);
        let expected = ("(secret, 32 bytes)".to_owned(), variable.clone());
        assert_eq!(source_of(&inputs, row.key), expected);
    }
    let settings = load(&in_folder(&folder, &[("TWITCH_CLIENT_SECRET_FILE", &path)])).unwrap();
    assert_eq!(settings.twitch.client_secret.unwrap().expose_secret(), SECRET);
    fs::write(folder.path().join("local.toml"), format!("[secrets]\nsession_file = \"{path}\"")).unwrap();
    let settings = load(&in_folder(&folder, &[])).unwrap();
    assert_eq!(settings.secrets.session[0].expose_secret(), SECRET);
}

#[test]
fn a_secret_given_twice_or_in_an_unreadable_file_is_a_problem() {
    let found = problems(&inputs(&[
        ("INTERNAL_TOKEN", "x"),
        ("INTERNAL_TOKEN_FILE", "/dev/null"),
        ("TOKEN_KEY_FILE", "/no/such/file"),
        ("TWITCH_CLIENT_SECRET_FILE", "/dev/null"),
    ]));
    assert_eq!(
        found,
        [
            "secrets.token_key (TOKEN_KEY): cannot read the file /no/such/file: No such file or directory (os error 2), \
             named by TOKEN_KEY_FILE",
            "secrets.internal_token (INTERNAL_TOKEN): INTERNAL_TOKEN and INTERNAL_TOKEN_FILE are both set; remove one of them",
            "twitch.client_secret (TWITCH_CLIENT_SECRET): the file /dev/null is empty, named by TWITCH_CLIENT_SECRET_FILE",
        ]
    );
}

#[test]
fn no_secret_is_ever_shown() {
    let hidden = "hidden-hidden-hidden-hidden-hidden-hidden";
    let env: Vec<(&str, String)> = TABLE
        .iter()
        .filter(|row| row.secret)
        .map(|row| match row.variable {
            "DATABASE_URL" | "DATABASE_READ_URL" => (row.variable, format!("mysql://tca:{hidden}@db/tca?x={hidden}")),
            "REDIS_URL" => (row.variable, format!("redis-sentinel://:{hidden}@redis:26379?sentinelPassword={hidden}")),
            _ => (row.variable, hidden.to_owned()),
        })
        .collect();
    let env: Vec<(&str, &str)> = env.iter().map(|(name, value)| (*name, value.as_str())).collect();
    let reading = read(&inputs(&env));
    let shown = shown_table(&reading.rows);
    assert!(!shown.contains(hidden), "{shown}");
    assert!(shown.contains("mysql://tca:***@db/tca?***"), "{shown}");
    assert!(!format!("{:?}", reading.settings.unwrap()).contains(hidden));
}

#[test]
fn no_problem_repeats_a_secret() {
    let env: Vec<(&str, &str)> = TABLE.iter().filter(|row| row.secret).map(|row| (row.variable, "hid den")).collect();
    let found = problems(&inputs(&env));
    assert!(found.len() >= 5 && !found.join("\n").contains("hid den"), "{found:?}");
}

#[test]
fn a_database_in_parts_is_mariadb_and_a_url_wins() {
    let parts = [
        ("DB_HOST", "db"),
        ("DB_NAME", "tca"),
        ("DB_USER", "t@a"),
        ("DB_PASSWORD", "p%4/:é"),
        ("APP_SESSION_SECRET", SECRET),
    ];
    assert_eq!(settings(&parts).database.url.expose_secret(), "mysql://t%40a:p%254%2F%3A%C3%A9@db:3306/tca");
    assert_eq!(source_of(&inputs(&parts), "database.url").0, "mysql://t%40a:***@db:3306/tca");
    let mut all = parts.to_vec();
    all.push(("DATABASE_URL", "sqlite://x.db"));
    assert_eq!(settings(&all).database.url.expose_secret(), "sqlite://x.db");
    let found = problems(&inputs(&[("DB_HOST", "db"), ("APP_SESSION_SECRET", SECRET)]));
    assert_eq!(
        found,
        [
            "database.name (DB_NAME): missing; set DB_NAME, or the whole DATABASE_URL",
            "database.user (DB_USER): missing; set DB_USER, or the whole DATABASE_URL",
        ]
    );
}

#[test]
fn pools_follow_the_roles() {
    let pool = |env: &[(&str, &str)], roles: &[Role]| {
        let database = load(&with_roles(env, roles)).unwrap().database;
        (database.max_open, database.max_idle)
    };
    assert_eq!(pool(&[], &[]), (50, 10));
    assert_eq!(pool(&[], &[Role::Worker]), (20, 5));
    assert_eq!(pool(&[], &[Role::TwitchProxy]), (5, 2));
    assert_eq!(pool(&[], &[Role::Worker, Role::Analysis]), (30, 10));
    assert_eq!(pool(&[("DB_MAX_OPEN_CONNS", "4")], &[Role::Gateway]), (4, 4));
    assert_eq!(pool(&[("DB_MAX_OPEN_CONNS", "7"), ("DB_MAX_IDLE_CONNS", "0")], &[]), (7, 0));
    let found = problems(&inputs(&[("DB_MAX_IDLE_CONNS", "51")]));
    assert_eq!(found, ["database.max_idle (DB_MAX_IDLE_CONNS): 51 is more than database.max_open, which is 50"]);
}

#[test]
fn app_port_is_for_a_process_with_one_role() {
    let one = load(&with_roles(&[("APP_PORT", "9000")], &[Role::Worker])).unwrap();
    assert_eq!((one.ports.worker, one.ports.gateway), (9000, 8080));
    let two = load(&with_roles(&[("APP_PORT", "9000")], &[Role::Worker, Role::Gateway])).unwrap();
    assert_eq!((two.ports.worker, two.ports.gateway), (8082, 8080));
    let gateway = load(&with_roles(&[("APP_PORT", "9000")], &[Role::Gateway])).unwrap();
    assert_eq!(gateway.twitch.redirect_url.as_str(), "http://localhost:9000/auth/callback");
}

#[test]
fn roles_of_one_process_need_ports_of_their_own() {
    let found = problems(&inputs(&[("WORKER_PORT", "8080")]));
    assert_eq!(found, ["server.worker_port (WORKER_PORT): 8080 is the port of another role of this process"]);
    assert_eq!(problems(&with_roles(&[("WORKER_PORT", "8080")], &[Role::Worker])), [""; 0]);
    assert_eq!(problems(&inputs(&[("WORKER_PORT", "0"), ("GATEWAY_PORT", "0")])), [""; 0]);
}

#[test]
fn production_refuses_what_is_only_convenient() {
    let found = problems(&with_roles(&[("APP_ENV", "production")], &[Role::Gateway, Role::TwitchProxy]));
    insta::assert_snapshot!(found.join("\n"));
    let gateway = problems(&with_roles(&[("APP_ENV", "production")], &[Role::Gateway]));
    assert!(!gateway.concat().contains("TWITCH_CLIENT_SECRET"), "the secret is the proxy's alone: {gateway:?}");
    let whole = [
        ("APP_ENV", "production"),
        ("APP_SESSION_SECRET", SECRET),
        ("TWITCH_CLIENT_ID", "id"),
        ("TWITCH_CLIENT_SECRET", "secret"),
        ("PUBLIC_URL", "https://tca.example"),
    ];
    assert_eq!(problems(&inputs(&whole)), [""; 0], "one process on SQLite is fine");
    assert_eq!(problems(&with_roles(&whole, &[Role::Worker])).len(), 2, "split roles need MariaDB and Redis");
    let mut split = whole.to_vec();
    split.extend([("DATABASE_URL", "mariadb://tca:x@db/tca"), ("REDIS_URL", "redis://redis:6379")]);
    assert_eq!(problems(&with_roles(&split, &[Role::Worker])), [""; 0]);
}

#[test]
fn a_command_that_runs_no_role_needs_no_secret() {
    let env = [("APP_ENV", "production"), ("DATABASE_URL", "mysql://tca:x@db/tca")];
    assert_eq!(problems(&Inputs { needs: Needs::ValuesOnly, ..inputs(&env) }), [""; 0]);
}

#[test]
fn a_role_with_keys_of_its_own_needs_no_session_secret() {
    let mariadb = ("DATABASE_URL", "mysql://tca:x@db/tca");
    let missing = "secrets.session (APP_SESSION_SECRET): missing; set APP_SESSION_SECRET or APP_SESSION_SECRET_FILE (at \
                   least 32 bytes, such as from `openssl rand -hex 32`)";
    assert_eq!(problems(&inputs(&[mariadb])), [missing]);
    assert_eq!(problems(&with_roles(&[mariadb, ("INTERNAL_TOKEN", "x")], &[Role::Worker])), [""; 0]);
    assert_eq!(problems(&with_roles(&[mariadb, ("INTERNAL_TOKEN", "x")], &[Role::TwitchProxy])), [missing]);
}

#[test]
fn lists_are_split_and_logins_are_lower_case() {
    let two = format!("{SECRET}, {SECRET}x,");
    let settings =
        settings(&[("OPS_LOGINS", "Alice, bob"), ("APP_SESSION_SECRET", &two), ("TRUSTED_PROXIES", "::1,10.0.0.0/8")]);
    assert_eq!(settings.access.ops_logins, ["alice", "bob"]);
    assert_eq!(settings.secrets.session.len(), 2);
    assert_eq!(settings.trusted_proxies.len(), 2);
    let folder = folder(&[("local.toml", "[access]\nops_logins = [\"a\", \"b\"]\n[worker]\nconcurrency = [1, 2]")]);
    let found = problems(&in_folder(&folder, &[]));
    assert_eq!(found.len(), 1, "{found:?}");
    assert!(found[0].contains("a list is not possible here"), "{found:?}");
}

#[test]
fn a_session_secret_is_made_once() {
    use std::os::unix::fs::PermissionsExt as _;
    let folder = folder(&[]);
    let url = format!("sqlite://{}/deep/tca.db", folder.path().display());
    let fresh = || load(&in_folder(&folder, &[("DATABASE_URL", &url)])).unwrap().secrets;
    let path = folder.path().join("deep/tca.secret");
    assert!(fresh().session.is_empty() && !path.exists(), "reading the settings makes nothing");
    let made: BTreeSet<String> = std::thread::scope(|scope| {
        let ensure = || {
            let mut secrets = fresh();
            secrets.ensure_session().unwrap();
            secrets.session[0].expose_secret().to_owned()
        };
        let threads: Vec<_> = (0..8).map(|_| scope.spawn(ensure)).collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    assert_eq!(made.len(), 1, "processes that start together agree");
    assert_eq!(made.first().unwrap().len(), 43);
    assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    assert_eq!(fs::read_dir(path.parent().unwrap()).unwrap().count(), 1, "no temporary file is left");
    fs::write(&path, "short").unwrap();
    assert!(matches!(fresh().ensure_session(), Err(SecretFileError::TooShort { .. })));
}

#[test]
fn a_given_session_secret_is_kept_and_one_in_memory_needs_no_file() {
    let mut given = settings(&[("APP_SESSION_SECRET", SECRET)]).secrets;
    given.ensure_session().unwrap();
    assert_eq!(given.session.len(), 1);
    let mut memory = settings(&[("DATABASE_URL", "sqlite::memory:")]).secrets;
    assert!(memory.secret_file.is_none());
    memory.ensure_session().unwrap();
    assert_eq!(memory.session.len(), 1);
}
