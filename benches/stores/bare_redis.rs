//! As `bare.rs`, for Redis: the least commands that write what a fire writes, in one pipeline and one step.

use std::collections::HashMap;

use asyncz::async_trait;
use asyncz::redis::aio::MultiplexedConnection;
use asyncz::redis::{self, Client, Pipeline};

use crate::bare::{Bare, Done};
use crate::fires::Fires;
use crate::{Failure, Fire};

/// Has the server write all that it is told to the disk before it answers, or nothing.
pub(crate) async fn append(url: &str, is_on: bool) -> Result<(), Failure> {
    let mut connection = Client::open(url)?.get_multiplexed_async_connection().await?;
    let settings = [("appendfsync", "always"), ("appendonly", if is_on { "yes" } else { "no" })];
    for (setting, value) in settings {
        redis::cmd("CONFIG").arg("SET").arg(setting).arg(value).exec_async(&mut connection).await?;
    }
    Ok(())
}

/// A connection, and what stands of each task before and behind what a fire changes.
pub(crate) struct Redis {
    connection: MultiplexedConnection,
    root: String,
    /// The ids, in the order of tasks.
    ids: Vec<String>,
    /// By key: handler, edit and `max_instances`.
    heads: HashMap<String, String>,
    version: u64,
}

impl Redis {
    pub(crate) async fn open(url: &str, prefix: &str, fires: &Fires) -> Result<Self, Failure> {
        let mut connection = Client::open(url)?.get_multiplexed_async_connection().await?;
        let root = format!("{{{prefix}}}:tasks");
        let tasks: HashMap<String, String> =
            redis::cmd("HGETALL").arg(&root).query_async(&mut connection).await?;
        let heads = tasks.into_iter().map(|(key, task)| (key, task[..30].to_owned())).collect();
        let ids = fires.tasks.iter().map(|task| task.id().to_string()).collect();
        Ok(Self { connection, root, ids, heads, version: 1 })
    }

    /// Where the schedules of these tasks stand now.
    fn schedules(&self, pipeline: &mut Pipeline, fires: &[Fire], running: u8) {
        let set = pipeline.cmd("HSET").arg(&self.root);
        for fire in fires {
            let key = format!("{:012x}", fire.key);
            let (head, version) = (&self.heads[&key], self.version);
            let (next, due) = (fire.next / 1_000, fire.due / 1_000);
            set.arg(key).arg(format!("{head}{version} {running} - 0 {next} {due}"));
        }
        set.ignore();
    }

    fn entries(&self, pipeline: &mut Pipeline, fires: &[Fire], status: char, has_ended: bool) {
        let set = pipeline.cmd("HSET").arg(format!("{}:runs", self.root));
        for fire in fires {
            let Fire { at, key, due, now, node_text, .. } = fire;
            let (id, end) =
                (&self.ids[*at], if has_ended { format!(" {now} {now} -") } else { String::new() });
            let entry =
                format!("{status}{node_text}{key:012x}{due} 0 1 0 1 - {now} {} {id} -{end}", id.len());
            set.arg(&fire.run_text).arg(entry);
        }
        set.ignore();
    }
}

#[async_trait]
impl Bare for Redis {
    async fn claim(&mut self, fires: &[Fire]) -> Done {
        self.version += 1;
        let root = &self.root;
        let mut pipeline = redis::pipe();
        pipeline.atomic();
        self.schedules(&mut pipeline, fires, 1);
        self.entries(&mut pipeline, fires, 'c', false);
        let order = pipeline.cmd("ZADD").arg(format!("{root}:order"));
        fires.iter().for_each(|fire| _ = order.arg(fire.now).arg(&fire.run_text));
        order.ignore();
        let due = pipeline.cmd("ZADD").arg(format!("{root}:run_times:000001"));
        fires.iter().for_each(|fire| _ = due.arg(fire.next / 1_000).arg(format!("{:012x}", fire.key)));
        due.ignore();
        let open = pipeline.cmd("SADD").arg(format!("{root}:open:{}", fires[0].node_text));
        fires.iter().for_each(|fire| _ = open.arg(&fire.run_text));
        open.ignore();
        for fire in fires {
            let history = format!("{root}:history:{}", self.ids[fire.at]);
            pipeline.cmd("RPUSH").arg(history).arg(&fire.run_text).ignore();
        }
        Ok(pipeline.exec_async(&mut self.connection).await?)
    }

    async fn finish(&mut self, fires: &[Fire]) -> Done {
        self.version += 1;
        let mut pipeline = redis::pipe();
        pipeline.atomic();
        self.schedules(&mut pipeline, fires, 0);
        self.entries(&mut pipeline, fires, 's', true);
        let open = pipeline.cmd("SREM").arg(format!("{}:open:{}", self.root, fires[0].node_text));
        fires.iter().for_each(|fire| _ = open.arg(&fire.run_text));
        open.ignore();
        Ok(pipeline.exec_async(&mut self.connection).await?)
    }
}
