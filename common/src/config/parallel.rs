//! The same work for many items, on all processors.

use std::{
    cmp::Reverse,
    sync::{
        Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
};

/// The results of `work` in the order of the items. The largest items are started first, so that
/// no thread waits for the last one.
pub(super) fn parallel_map<T: Send, R: Send>(
    items: Vec<T>,
    size: impl Fn(&T) -> usize,
    work: impl Fn(T) -> R + Sync,
) -> Vec<R> {
    let threads = thread::available_parallelism().map_or(1, usize::from);
    let mut order: Vec<usize> = (0..items.len()).collect();
    order.sort_by_cached_key(|index| Reverse(size(&items[*index])));
    let items: Vec<_> = items
        .into_iter()
        .map(|item| Mutex::new(Some(item)))
        .collect();
    let next = AtomicUsize::new(0);
    let run = || {
        let mut done = Vec::new();
        loop {
            let Some(index) = order.get(next.fetch_add(1, Ordering::Relaxed)) else {
                return done;
            };
            let item = items[*index].lock();
            let item = item.expect("taking it does not panic").take();
            done.push((*index, work(item.expect("each index is given once"))));
        }
    };
    let mut done: Vec<(usize, R)> = thread::scope(|scope| {
        // The calling thread works, too.
        let more = threads.min(items.len()).saturating_sub(1);
        let workers: Vec<_> = (0..more).map(|_| scope.spawn(run)).collect();
        let mut done = run();
        for worker in workers {
            done.extend(worker.join().expect("the work does not panic"));
        }
        done
    });
    done.sort_unstable_by_key(|(index, _)| *index);
    done.into_iter().map(|(_, result)| result).collect()
}
