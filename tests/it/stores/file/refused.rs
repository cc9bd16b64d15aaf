//! Where there is no store to be had.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use asyncz::stores::{FileStore, Query};
use asyncz::{RunFilter, Store};

use super::{Directory, every_ten_seconds};
use crate::scheduler::seconds;

async fn refusal(store: FileStore) -> String {
    store.start().await.unwrap_err().to_string()
}

/// The numbers are those of statfs(2).
#[tokio::test]
async fn file_systems_that_hosts_share_are_refused_and_those_of_one_host_are_not() {
    for (magic, program, name) in [
        (0x6969, None, "NFS"),
        (0xff53_4d42, None, "CIFS"),
        (0xfe53_4d42, None, "SMB"),
        (0x0102_1997, None, "9p"),
        (0x00c3_6400, None, "Ceph"),
        (0x6573_5546, Some("fuse.sshfs"), "fuse.sshfs"),
    ] {
        let directory = Directory::new();
        let error = refusal(directory.store().on_file_system(magic, program)).await;
        assert!(error.contains(&format!("it is on {name}, which several hosts may share")), "{error}");
        assert!(error.contains("choose a directory on a disk of this host"), "{error}");
        assert!(!directory.0.exists(), "nothing is made");
    }
    // ext4, tmpfs, XFS, Btrfs, overlay, ZFS, and a foreign disk.
    for (magic, program) in [
        (0xef53, None),
        (0x0102_1994, None),
        (0x5846_5342, None),
        (0x9123_683e, None),
        (0x794c_7630, None),
        (0x2fc1_2fc1, None),
        (0x6573_5546, Some("fuseblk")),
    ] {
        let directory = Directory::new();
        directory.store().on_file_system(magic, program).start().await.unwrap();
    }
}

#[tokio::test]
async fn a_directory_that_cant_be_written_is_told_with_the_reason() {
    let directory = Directory::new();
    fs::create_dir(&directory.0).unwrap();
    directory.write("file", "");
    let error = refusal(FileStore::new(directory.path("file"))).await;
    assert!(error.contains(&format!("the store in `{}/file`", directory.0.display())), "{error}");
    let error = refusal(FileStore::new(directory.path("file/below"))).await;
    assert!(error.contains("Not a directory"), "{error}");
    // Nobody may write there, whoever it is.
    let error = refusal(FileStore::new("/proc/asyncz")).await;
    assert!(error.contains("the store in `/proc/asyncz` can't be used"), "{error}");

    fs::set_permissions(&directory.0, fs::Permissions::from_mode(0o500)).unwrap();
    let is_refused = fs::write(directory.path("other"), "").is_err();
    let started = FileStore::new(directory.path("below")).start().await;
    fs::set_permissions(&directory.0, fs::Permissions::from_mode(0o700)).unwrap();
    // There are users whom no mode holds back.
    assert_eq!(started.is_err(), is_refused);
    assert!(started.is_ok() || started.unwrap_err().to_string().contains("Permission denied"));
}

#[tokio::test]
async fn a_directory_of_a_newer_program_is_refused_and_left_as_it_is() {
    for file in ["store.json", "journal"] {
        let directory = Directory::new();
        let (clock, scheduler) = directory.started().await;
        scheduler.add_task(every_ten_seconds("t")).await.unwrap();
        clock.advance(seconds(10)).await;
        scheduler.stop().await.unwrap();
        let text = match file {
            // With its digest, as a newer program would write it.
            "journal" => "24f44721897f004e {\"v\":2,\"generation\":9,\"after\":0}\n".to_owned(),
            file => directory.text(file).replacen("\"v\": 1", "\"v\": 2", 1),
        };
        directory.write(file, &text);

        let error = refusal(directory.store()).await;

        assert!(error.contains("version 2, and this program reads version 1"), "{file}: {error}");
        assert_eq!(directory.text(file), text);
    }
}

#[cfg(feature = "encryption")]
#[tokio::test]
async fn no_file_has_a_secret_and_a_wrong_key_changes_nothing() {
    use asyncz::{Args, Task};
    use serde_json::{Value, json};

    async fn echo(Args(args): Args<Value>) -> Result<Value, String> {
        Err(format!("no {args}"))
    }
    let (right, wrong) = ("r".repeat(32), "w".repeat(32));
    let directory = Directory::new();
    let (clock, config) = crate::scheduler::at_noon();
    let scheduler = config.store("default", directory.store().encryption_keys([&*right])).scheduler();
    scheduler.start().await.unwrap();
    let task = Task::from_fn("echo", echo).id("t").args("hunter2").unwrap().every(seconds(3_601));
    scheduler.add_task(task).await.unwrap();
    scheduler.run_task("t").await.unwrap();
    clock.advance(seconds(1)).await;
    let all = |directory: &Directory| -> Vec<_> {
        directory.files().into_iter().map(|file| (directory.text(&file), file)).collect()
    };
    let running = directory.copy();
    scheduler.stop().await.unwrap();

    for directory in [running, directory] {
        let before = all(&directory);
        assert!(before.iter().any(|(text, _)| text.contains("asyncz:xc20p:")));
        for (text, file) in &before {
            assert!(!text.contains("hunter2") && !text.contains("interval"), "{}: {text}", file.display());
        }

        let told = refusal(directory.store().encryption_keys([&*wrong])).await;
        let none = refusal(directory.store()).await;

        assert!(told.contains("encrypted with key `") && told.contains("encryption_keys has `"), "{told}");
        assert!(none.contains("there is no key: set ASYNCZ_STORE_ENCRYPTION_KEY"), "{none}");
        assert_eq!(all(&directory), before);
        let store = directory.store().encryption_keys([&*right]);
        let found = store.query(Query::All).await.unwrap();
        assert_eq!(found.tasks[0].definition.args(), &json!("hunter2"));
        let runs = store.runs(&RunFilter::new()).await.unwrap();
        assert_eq!(runs[0].error.as_deref(), Some("no \"hunter2\""));
    }
}
