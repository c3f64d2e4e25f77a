//! The only writer: all writes that wait when a transaction begins go into it, and are answered
//! after its commit.

use std::sync::Arc;

use anyhow::anyhow;
use common::db::SqliteDb;
use futures::future::BoxFuture;
use sqlx::SqliteConnection;
use tokio::sync::{Notify, mpsc, oneshot};

/// Most writes in one transaction: this bounds how long the first waits for the last.
const MAX_BATCH: usize = 256;

/// After a transaction of several writes has failed, they are tried one by one. When this many fail
/// in a row, the rest fail with them: each may take the database's whole busy timeout.
const MAX_FAILURES: usize = 3;

/// One write to the database.
pub(super) trait InboxWrite: Send + Sync + 'static {
    type Done: Send + 'static;
    /// Whether the dispatcher may have something to do after it.
    const BRINGS_WORK: bool = true;

    /// Runs again in another transaction after a failure: it has to do the same each time.
    fn apply_write<'a>(
        &'a self,
        connection: &'a mut SqliteConnection,
    ) -> BoxFuture<'a, Result<Self::Done, sqlx::Error>>;
}

/// A write, and whom to answer.
pub(super) struct WriteRequest<W: InboxWrite> {
    write: W,
    done: Option<W::Done>,
    reply: oneshot::Sender<anyhow::Result<W::Done>>,
}

impl<W: InboxWrite> WriteRequest<W> {
    pub(super) fn new(write: W) -> (Box<Self>, oneshot::Receiver<anyhow::Result<W::Done>>) {
        let (reply, answer) = oneshot::channel();
        let request = Self {
            write,
            done: None,
            reply,
        };
        (Box::new(request), answer)
    }
}

/// A [`WriteRequest`] of any [`InboxWrite`].
pub(super) trait QueuedWrite: Send {
    fn brings_work(&self) -> bool;
    fn apply_queued<'a>(
        &'a mut self,
        connection: &'a mut SqliteConnection,
    ) -> BoxFuture<'a, Result<(), sqlx::Error>>;
    /// Answers, once it is known whether the transaction was committed.
    fn send_reply(self: Box<Self>, committed: Result<(), &sqlx::Error>);
}

impl<W: InboxWrite> QueuedWrite for WriteRequest<W> {
    fn brings_work(&self) -> bool {
        W::BRINGS_WORK
    }

    fn apply_queued<'a>(
        &'a mut self,
        connection: &'a mut SqliteConnection,
    ) -> BoxFuture<'a, Result<(), sqlx::Error>> {
        Box::pin(async move {
            self.done = Some(self.write.apply_write(connection).await?);
            Ok(())
        })
    }

    fn send_reply(self: Box<Self>, committed: Result<(), &sqlx::Error>) {
        let answer = match (committed, self.done) {
            (Ok(()), Some(done)) => Ok(done),
            (Ok(()), None) => Err(anyhow!("it was not written")),
            (Err(error), _) => Err(anyhow!("{error}")),
        };
        // The requester may be gone: its request was cut off. The delivery stays.
        drop(self.reply.send(answer));
    }
}

/// The writer's queues.
pub(super) struct WriteQueues {
    pub(super) writes: mpsc::Receiver<Box<dyn QueuedWrite>>,
    /// Taken up only when no other write waits.
    pub(super) leisurely: mpsc::Receiver<Box<dyn QueuedWrite>>,
}

/// Writes until every [`super::Inbox`] is gone.
pub(super) async fn run_writer(db: SqliteDb, mut queues: WriteQueues, work: Arc<Notify>) {
    let mut batch = Vec::new();
    loop {
        tokio::select! {
            biased;
            taken = queues.writes.recv_many(&mut batch, MAX_BATCH) => if taken == 0 { return },
            Some(request) = queues.leisurely.recv() => batch.push(request),
        }
        let brings_work = batch.iter().any(|request| request.brings_work());
        write_batch(&db, &mut batch).await;
        if brings_work {
            work.notify_one();
        }
    }
}

/// Empties `batch`.
async fn write_batch(db: &SqliteDb, batch: &mut Vec<Box<dyn QueuedWrite>>) {
    if write_in_transaction(db, batch).await.is_ok() {
        for request in batch.drain(..) {
            request.send_reply(Ok(()));
        }
        return;
    }
    // One write that fails must not fail the others. A full disk may have ended the transaction, so
    // nothing of it is relied upon.
    let mut failures = 0;
    let mut requests = batch.drain(..);
    while let Some(mut request) = requests.next() {
        let written = write_in_transaction(db, std::slice::from_mut(&mut request)).await;
        failures = if written.is_ok() { 0 } else { failures + 1 };
        request.send_reply(written.as_ref().map(drop));
        if let Err(error) = written
            && failures == MAX_FAILURES
        {
            requests.for_each(|request| request.send_reply(Err(&error)));
            return;
        }
    }
}

/// Writes everything in one transaction, or nothing.
async fn write_in_transaction(
    db: &SqliteDb,
    requests: &mut [Box<dyn QueuedWrite>],
) -> Result<(), sqlx::Error> {
    let mut transaction = db.begin().await?;
    for request in requests {
        request.apply_queued(&mut transaction).await?;
    }
    transaction.commit().await
}
