//! The one writer: everything that waits when a transaction begins goes into it, and is
//! answered after its commit.

use std::sync::Arc;

use anyhow::anyhow;
use common::db::Db;
use futures::future::BoxFuture;
use sqlx::SqliteConnection;
use tokio::sync::{Notify, mpsc, oneshot};

/// Most writes in one transaction: bounds how long the first waits for the last.
const MAX_BATCH: usize = 256;

/// Writes that are tried one by one after their common transaction has failed. When so many fail
/// in a row, the others fail with them: each may take the whole of the database's patience.
const MAX_FAILURES: usize = 3;

/// Something to write.
pub(super) trait Write: Send + Sync + 'static {
    type Done: Send + 'static;
    /// Whether the dispatcher may have something to do after it.
    const BRINGS_WORK: bool = true;

    /// Tried again after a failure, in another transaction: it has to be the same each time.
    fn apply<'a>(
        &'a self,
        connection: &'a mut SqliteConnection,
    ) -> BoxFuture<'a, Result<Self::Done, sqlx::Error>>;
}

/// A write, and whom to tell.
pub(super) struct Request<W: Write> {
    write: W,
    done: Option<W::Done>,
    reply: oneshot::Sender<anyhow::Result<W::Done>>,
}

impl<W: Write> Request<W> {
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

/// A [`Request`], whatever it writes.
pub(super) trait Queued: Send {
    fn brings_work(&self) -> bool;
    fn apply<'a>(
        &'a mut self,
        connection: &'a mut SqliteConnection,
    ) -> BoxFuture<'a, Result<(), sqlx::Error>>;
    /// Answers, once it is known whether the transaction was committed.
    fn settle(self: Box<Self>, committed: Result<(), &sqlx::Error>);
}

impl<W: Write> Queued for Request<W> {
    fn brings_work(&self) -> bool {
        W::BRINGS_WORK
    }

    fn apply<'a>(
        &'a mut self,
        connection: &'a mut SqliteConnection,
    ) -> BoxFuture<'a, Result<(), sqlx::Error>> {
        Box::pin(async move {
            self.done = Some(self.write.apply(connection).await?);
            Ok(())
        })
    }

    fn settle(self: Box<Self>, committed: Result<(), &sqlx::Error>) {
        let answer = match (committed, self.done) {
            (Ok(()), Some(done)) => Ok(done),
            (Ok(()), None) => Err(anyhow!("it was not written")),
            (Err(error), _) => Err(anyhow!("{error}")),
        };
        // Who asked may have gone: a request that was cut off. The delivery stays.
        drop(self.reply.send(answer));
    }
}

/// What the writer is asked for.
pub(super) struct Queues {
    pub(super) writes: mpsc::Receiver<Box<dyn Queued>>,
    /// Taken up only when no other write waits.
    pub(super) leisurely: mpsc::Receiver<Box<dyn Queued>>,
}

/// Writes until every [`super::Inbox`] is gone.
pub(super) async fn run(db: Db, mut queues: Queues, work: Arc<Notify>) {
    let mut batch = Vec::new();
    loop {
        tokio::select! {
            biased;
            taken = queues.writes.recv_many(&mut batch, MAX_BATCH) => if taken == 0 { return },
            Some(request) = queues.leisurely.recv() => batch.push(request),
        }
        let brings_work = batch.iter().any(|request| request.brings_work());
        write(&db, &mut batch).await;
        if brings_work {
            work.notify_one();
        }
    }
}

/// Empties `batch`.
async fn write(db: &Db, batch: &mut Vec<Box<dyn Queued>>) {
    if together(db, batch).await.is_ok() {
        for request in batch.drain(..) {
            request.settle(Ok(()));
        }
        return;
    }
    // One that cannot be written must not take the others with it. A disk that is full has
    // perhaps ended the transaction, so nothing of it is relied upon.
    let mut failures = 0;
    let mut requests = batch.drain(..);
    while let Some(mut request) = requests.next() {
        let written = together(db, std::slice::from_mut(&mut request)).await;
        failures = if written.is_ok() { 0 } else { failures + 1 };
        request.settle(written.as_ref().map(drop));
        if let Err(error) = written
            && failures == MAX_FAILURES
        {
            requests.for_each(|request| request.settle(Err(&error)));
            return;
        }
    }
}

/// Everything in one transaction, or nothing.
async fn together(db: &Db, requests: &mut [Box<dyn Queued>]) -> Result<(), sqlx::Error> {
    let mut transaction = db.begin().await?;
    for request in requests {
        request.apply(&mut transaction).await?;
    }
    transaction.commit().await
}
