//! Files and the environment's variables as layers of one configuration.

use std::env;
use std::fs;
use std::path::PathBuf;
use std::process::Command;

use asyncz::{AsynczConfig, Configuration, Scheduler};

use super::{problems, right};
use crate::lifespan::fake::say;

/// Files of one test, gone with it.
struct Files(PathBuf);

impl Files {
    fn new(test: &str) -> Self {
        let folder = env::temp_dir().join(format!("asyncz-{}-{test}", std::process::id()));
        fs::create_dir_all(&folder).unwrap();
        Self(folder)
    }

    fn write(&self, name: &str, text: &str) -> PathBuf {
        let path = self.0.join(name);
        fs::write(&path, text).unwrap();
        path
    }
}

impl Drop for Files {
    fn drop(&mut self) {
        // Where it can't be removed the system does.
        _ = fs::remove_dir_all(&self.0);
    }
}

const TOML: &str = r#"
[server]
port = 3000

[asyncz]
timezone = "Europe/Berlin"
identity = "toml"
task_defaults = { coalesce = false, max_instances = 4 }
"asyncz_is_the_application's_own" = 1

[asyncz.executors]
default = { class = "asyncz.executors.asyncio:AsyncIOExecutor" }
pool = { type = "threadpool", max_workers = 20 }
"#;

const YAML: &str = r#"
server: {port: 3000}
asyncz:
  timezone: Europe/Berlin
  identity: yaml
  task_defaults: {coalesce: false, max_instances: 4}
  executors:
    default: {type: asyncio}
    pool: {type: threadpool, max_workers: 20}
"#;

const JSON: &str = r#"{
  "server": {"port": 3000},
  "asyncz.timezone": "Europe/Berlin",
  "asyncz": {
    "identity": "json",
    "task_defaults.coalesce": "false",
    "task_defaults": {"max_instances": "4"},
    "executors": {"default": {"type": "asyncio"}, "pool": {"type": "threadpool", "max_workers": "20"}}
  }
}"#;

async fn set_up(configuration: Configuration) -> Scheduler {
    let scheduler = AsynczConfig::new().without_registry().scheduler();
    scheduler.setup(configuration).await.unwrap();
    scheduler
}

#[tokio::test]
async fn files_in_toml_yaml_and_json_say_the_same() {
    let files = Files::new("formats");
    let toml = TOML.replace("\"asyncz_is_the_application's_own\" = 1\n", "");
    for (name, text) in [("app.toml", &*toml), ("app.yaml", YAML), ("app.yml", YAML), ("app.json", JSON)] {
        let scheduler = set_up(Configuration::new().file(files.write(name, text))).await;
        let info = scheduler.info();
        assert_eq!((info.timezone.name(), info.executors[1].workers), ("Europe/Berlin", Some(20)), "{name}");
        assert!(["toml", "yaml", "json"].contains(&&*info.identity));
    }
}

#[tokio::test]
async fn each_format_s_own_ways_of_writing_are_understood() {
    let files = Files::new("ways");
    for (name, text) in [
        ("a.toml", "\"asyncz.timezone\" = 'UTC'\n[asyncz.\"stores.default\"]\ntype = 'memory'"),
        ("b.toml", "asyncz.startup_delay = 0.5\nasyncz.identity = 2026-01-01\nasyncz.expect_tasks = 0x0f"),
        ("c.toml", "[asyncz]\ntasks = ['app::a', 'app::b']\nstores.default.type = 'memory'"),
        ("d.yaml", "asyncz: {start_paused: yes, identity: 007, task_defaults: {misfire_grace_time: ~}}"),
        ("e.yaml", "asyncz:\n  tasks:\n  - app::a\n  - app::b\n  startup_delay: 1e1"),
        ("f.yaml", "asyncz.timezone: UTC\nasyncz.stores.default: {type: memory}"),
        (
            "g.json",
            "{\"asyncz\": {\"tasks\": \"app::a, app::b\", \"start_timeout\": null, \"startup_delay\": 1e1}}",
        ),
        ("h.yaml", "asyncz:\n  # timezone: UTC"),
        ("i.yaml", "asyncz:\n  stores:\n  task_defaults:"),
        ("empty.toml", ""),
        ("empty.yaml", "# nothing"),
        ("empty.json", "{}"),
    ] {
        let told = problems(Configuration::new().file(files.write(name, text))).await;
        assert_eq!(told, Vec::<String>::new(), "{name}");
    }
}

#[tokio::test]
async fn the_later_layer_holds_key_by_key() {
    let files = Files::new("order");
    let base = files.write("base.yaml", YAML);
    let local = files.write("local.toml", "asyncz.executors.pool.max_workers = 3\nasyncz.identity = 'local'");

    let configuration = Configuration::new().file(&base).file(&local).values([("asyncz.timezone", "UTC")]);
    let info = set_up(configuration).await.info();
    assert_eq!((&*info.identity, info.timezone.name(), info.executors[1].workers), ("local", "UTC", Some(3)));

    let info = set_up(Configuration::new().file(&local).file(&base)).await.info();
    assert_eq!((&*info.identity, info.executors[1].workers), ("yaml", Some(20)));
}

#[tokio::test]
async fn a_layer_that_gives_another_type_replaces_the_options_too() {
    let files = Files::new("types");
    let base = files.write("base.yaml", YAML);
    let local = files.write("local.toml", "[asyncz.executors]\npool = { type = 'debug' }");
    let info = set_up(Configuration::new().file(&base).file(&local)).await.info();
    assert_eq!(&*info.executors[1].kind, "DebugExecutor");

    // By the other of the two words for it, too.
    let local =
        files.write("local.toml", "asyncz.executors.pool.class = 'asyncz.executors.debug:DebugExecutor'");
    let info = set_up(Configuration::new().file(&base).file(&local)).await.info();
    assert_eq!(&*info.executors[1].kind, "DebugExecutor");

    // The same type again is no other.
    let local = files.write("local.toml", "asyncz.executors.pool.type = 'threadpool'");
    let info = set_up(Configuration::new().file(&base).file(&local)).await.info();
    assert_eq!(info.executors[1].workers, Some(20));
}

#[tokio::test]
async fn a_mistake_is_told_with_its_file() {
    let files = Files::new("mistakes");
    let path = files.write("app.toml", TOML);
    let told = problems(Configuration::new().file(&path)).await;
    assert_eq!(told.len(), 1);
    let unknown = format!("{}: there is no key `asyncz.asyncz_is_the_application's_own`", path.display());
    assert!(told[0].starts_with(&unknown), "{told:?}");

    let path =
        files.write("app.yaml", "asyncz: {start_paused: perhaps, executors: {pool: {max_workers: 3}}}");
    let path_told = path.display();
    assert_eq!(
        problems(Configuration::new().file(&path)).await,
        [
            format!("{path_told}: asyncz.start_paused `perhaps`: write true or false"),
            format!("{path_told}: asyncz.executors.pool: say which executor it is: its `type` is missing"),
        ]
    );
}

#[tokio::test]
async fn a_file_that_is_not_there_is_told_unless_it_may_be_missing() {
    let files = Files::new("missing");
    let path = files.0.join("app.toml");
    right(Configuration::new().optional_file(&path)).await;
    let told = problems(Configuration::new().file(&path)).await;
    assert!(told.len() == 1 && told[0].contains("app.toml"), "{told:?}");

    let path = files.write("app.conf", "");
    let told = problems(Configuration::new().file(&path)).await;
    assert!(told.len() == 1 && told[0].contains("app.conf"), "{told:?}");
    // One that is there is read.
    let path = files.write("app.yaml", "asyncz: {colour: red}");
    assert_eq!(problems(Configuration::new().optional_file(&path)).await.len(), 1);
}

#[tokio::test]
async fn a_file_that_can_t_be_read_is_told_without_what_stands_in_it() {
    let files = Files::new("broken");
    for (name, text) in [
        ("app.toml", "[asyncz.stores.default]\nurl = \"redis://me:hunter2@host\" oops = 1"),
        ("app.toml", "[asyncz.stores.default]\nurl = redis://me:hunter2@host"),
        ("app.toml", "[asyncz]\npassword = \"hunter2"),
        ("app.yaml", "asyncz:\n  password: \"hunter2\n  x: ["),
        ("app.yaml", "asyncz:\n\tpassword: hunter2"),
        ("app.json", "{\"asyncz\": {\"password\": \"hunter2\", oops}}"),
        ("app.json", "{\"asyncz\": {\"password\": hunter2}}"),
    ] {
        let path = files.write(name, text);
        let told = problems(Configuration::new().file(&path)).await;
        assert_eq!(told.len(), 1, "{told:?}");
        assert!(
            told[0].contains(name) && told[0].contains("line ") && !told[0].contains("hunter2"),
            "{told:?}"
        );
    }
}

const SCENE: &str = "ASYNCZ_CONFIGURATION_SCENE";

/// The child that has variables of its own: it does nothing where nobody asks.
#[tokio::test]
async fn scene() {
    let Ok(file) = env::var(SCENE) else { return };
    let scheduler = AsynczConfig::new().without_registry().scheduler();
    let configuration = Configuration::new().file(file).environment();
    say(&format!("enabled={}", configuration.enable_scheduler()));
    match scheduler.setup(configuration).await {
        Ok(()) => say(&serde_json::to_string(&scheduler.info()).unwrap()),
        Err(error) => say(&error.to_string()),
    }
}

/// What a process with these variables says.
fn with_variables(test: &str, variables: &[(&str, &str)]) -> String {
    told_with(test, |child| child.envs(variables.iter().copied()))
}

fn told_with(test: &str, set: impl FnOnce(&mut Command) -> &mut Command) -> String {
    let files = Files::new(test);
    let mut child = Command::new(env::current_exe().unwrap());
    child.args(["configuration::layers::scene", "--exact", "--nocapture"]);
    child.env(SCENE, files.write("app.yaml", YAML));
    String::from_utf8(set(&mut child).output().unwrap().stderr).unwrap()
}

#[test]
fn the_environment_s_variables_are_a_layer() {
    let told = with_variables(
        "environment",
        &[
            ("ASYNCZ__IDENTITY", "from-the-environment"),
            ("ASYNCZ__EXECUTORS__POOL__MAX_WORKERS", "7"),
            ("ASYNCZ__TASK_DEFAULTS__COALESCE", "true"),
            ("ASYNCZ__ENABLE_SCHEDULER", "false"),
            // As compose files give those that are not set.
            ("ASYNCZ__TIMEZONE", ""),
            // Not ours: one underscore.
            ("ASYNCZ_COLOUR", "red"),
        ],
    );
    for part in ["enabled=false", "from-the-environment", "\"workers\":7", "Europe/Berlin"] {
        assert!(told.contains(part), "{part}: {told}");
    }
}

#[cfg(unix)]
#[test]
fn variables_that_are_no_text_are_told_where_they_are_ours() {
    use std::ffi::OsStr;
    use std::os::unix::ffi::OsStrExt;

    let no_text = OsStr::from_bytes(b"\xff\xfe");
    for (name, ours) in [("SOMEBODY_S", false), ("ASYNCZ__IDENTITY", true)] {
        let told = told_with(name, |child| child.env(name, no_text));
        assert_eq!(told.contains("\"identity\":\"yaml\""), !ours, "{told}");
        assert_eq!(told.contains("the environment can't be read"), ours, "{told}");
    }
}

#[test]
fn a_mistake_is_told_with_its_variable() {
    let told = with_variables(
        "variables",
        &[("ASYNCZ__TASK_DEFAULTS__COALESC", "true"), ("ASYNCZ__START_PAUSED", "perhaps")],
    );
    for part in [
        "there is no key `ASYNCZ__TASK_DEFAULTS__COALESC`: did you mean `ASYNCZ__TASK_DEFAULTS__COALESCE`?",
        "ASYNCZ__START_PAUSED `perhaps`: write true or false",
    ] {
        assert!(told.contains(part), "{part}: {told}");
    }
}
