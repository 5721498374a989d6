//! The pace of calls to a service: a number of calls a second, creates and uploads before polls.

use std::{
    collections::VecDeque,
    num::NonZeroU32,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::{sync::Notify, time::Instant};

/// Calls of high priority in a row before one of low priority is let through, so that neither a
/// long walk of the list nor a flood of new recordings can starve the polls: an uploaded recording
/// has its notes after one poll.
const HIGH_IN_A_ROW_MAX: u32 = 2;

/// The order of calls.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Priority {
    /// Creates, uploads, requests and calls that a person waits for.
    High,
    /// Polls for results.
    Low,
}

/// The pace of one service, shared by all its callers.
#[derive(Debug)]
pub struct Pacer {
    interval: Duration,
    line: Mutex<WaitingLine>,
}

/// The callers that wait. The head is the front of one of the two queues: it alone sleeps until the
/// next slot.
#[derive(Debug)]
struct WaitingLine {
    next: Instant,
    high: VecDeque<Arc<Notify>>,
    low: VecDeque<Arc<Notify>>,
    high_in_a_row: u32,
}

impl WaitingLine {
    fn first_in_line(&self) -> Option<&Arc<Notify>> {
        let low_is_due = self.high_in_a_row >= HIGH_IN_A_ROW_MAX;
        let (first, second) =
            if low_is_due { (&self.low, &self.high) } else { (&self.high, &self.low) };
        first.front().or_else(|| second.front())
    }

    fn queue_of(&mut self, priority: Priority) -> &mut VecDeque<Arc<Notify>> {
        match priority {
            Priority::High => &mut self.high,
            Priority::Low => &mut self.low,
        }
    }

    fn leave_line(&mut self, ticket: &Arc<Notify>, priority: Priority) {
        self.queue_of(priority).retain(|waiting| !Arc::ptr_eq(waiting, ticket));
        if let Some(head) = self.first_in_line() {
            head.notify_one();
        }
    }
}

/// A place in the line; given up when its holder is dropped, served or not.
struct PlaceInLine<'a> {
    pacer: &'a Pacer,
    ticket: Arc<Notify>,
    priority: Priority,
    served: bool,
}

impl Drop for PlaceInLine<'_> {
    fn drop(&mut self) {
        if !self.served {
            self.pacer.lock_line().leave_line(&self.ticket, self.priority);
        }
    }
}

impl Pacer {
    /// Returns a pacer of `requests_per_second`, evenly spread.
    #[must_use]
    pub fn new(requests_per_second: NonZeroU32) -> Self {
        let line = WaitingLine {
            next: Instant::now(),
            high: VecDeque::new(),
            low: VecDeque::new(),
            high_in_a_row: 0,
        };
        Self {
            interval: Duration::from_secs(1) / requests_per_second.get(),
            line: Mutex::new(line),
        }
    }

    /// Waits for the next free slot. First come, first served within a priority. Dropping the
    /// future gives up the place.
    pub async fn acquire(&self, priority: Priority) {
        let ticket = Arc::new(Notify::new());
        self.lock_line().queue_of(priority).push_back(Arc::clone(&ticket));
        let mut place = PlaceInLine { pacer: self, ticket, priority, served: false };
        loop {
            let slot = match self.try_take(&place) {
                SlotTurn::Taken => {
                    place.served = true;
                    return;
                }
                SlotTurn::At(slot) => Some(slot),
                SlotTurn::Behind => None,
            };
            match slot {
                Some(slot) => tokio::time::sleep_until(slot).await,
                None => place.ticket.notified().await,
            }
        }
    }

    /// Returns how many calls wait for a slot.
    #[must_use]
    pub fn count_waiting(&self) -> usize {
        let line = self.lock_line();
        line.high.len() + line.low.len()
    }

    fn try_take(&self, place: &PlaceInLine<'_>) -> SlotTurn {
        let mut line = self.lock_line();
        if !line.first_in_line().is_some_and(|head| Arc::ptr_eq(head, &place.ticket)) {
            return SlotTurn::Behind;
        }
        let now = Instant::now();
        if now < line.next {
            return SlotTurn::At(line.next);
        }
        line.next = now + self.interval;
        line.high_in_a_row = match place.priority {
            Priority::High => line.high_in_a_row.saturating_add(1),
            Priority::Low => 0,
        };
        line.leave_line(&place.ticket, place.priority);
        SlotTurn::Taken
    }

    fn lock_line(&self) -> MutexGuard<'_, WaitingLine> {
        self.line.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

enum SlotTurn {
    Taken,
    At(Instant),
    Behind,
}

#[cfg(test)]
mod tests {
    use futures_util::future::join_all;
    use proptest::prelude::*;

    use super::*;

    /// A caller: when it comes, whether it is of high priority, and how long it waits before it
    /// goes away.
    type Caller = (u64, bool, Option<u64>);

    /// Lets the callers come and returns when each was served, in milliseconds, at ten calls a
    /// second.
    async fn served(callers: &[Caller]) -> Vec<Option<u128>> {
        let (pacer, begin) = (pacer(10), Instant::now());
        let call = async |(comes, high, stays): Caller| {
            tokio::time::sleep(Duration::from_millis(comes)).await;
            let turn = pacer.acquire(if high { Priority::High } else { Priority::Low });
            let stays = Duration::from_millis(stays.unwrap_or(1_000_000));
            let turn = tokio::time::timeout(stays, turn).await;
            turn.is_ok().then(|| begin.elapsed().as_millis())
        };
        let served = join_all(callers.iter().map(|caller| call(*caller))).await;
        assert_eq!(pacer.count_waiting(), 0, "nobody waits, and nobody has left a ticket behind");
        served
    }

    proptest! {
        #![proptest_config(crate::budget::cases(64))]

        #[test]
        fn calls_keep_their_distance_and_everyone_comes_to_their_turn(
            callers in prop::collection::vec((0_u64..3000, any::<bool>(), prop::option::weighted(0.2, 1_u64..2000)), 1..60)
        ) {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build();
            let served = runtime.expect("a runtime").block_on(served(&callers));
            let mut order: Vec<(u128, usize)> = (0..).zip(&served).filter_map(|(who, at)| Some(((*at)?, who))).collect();
            order.sort_unstable();
            for pair in order.windows(2) {
                prop_assert!(pair[1].0 - pair[0].0 >= 100, "two calls within a tenth of a second: {:?}", pair);
            }
            let patient = (0..).zip(&callers).filter(|(_, caller)| caller.2.is_none());
            for (who, (comes, high, _)) in patient {
                let at = served[who];
                prop_assert!(at.is_some(), "{} was never served", who);
                let is_before = |other: &usize| callers[*other].1 == *high && callers[*other].0 < *comes;
                let later = order.iter().filter(|(then, other)| is_before(other) && Some(*then) > at);
                prop_assert_eq!(later.count(), 0, "{} went before who came earlier", who);
                let waits = |then: u128| then > u128::from(*comes) && Some(then) < at;
                let ahead: Vec<bool> = order.iter().filter(|(then, _)| waits(*then)).map(|(_, who)| callers[*who].1).collect();
                let longest = ahead.split(|high| !high).map(<[bool]>::len).max().unwrap_or(0);
                prop_assert!(*high || longest <= 9, "{} waited for {} calls in a row: {:?}", who, longest, ahead);
            }
        }
    }

    fn pacer(rate: u32) -> Pacer {
        Pacer::new(NonZeroU32::new(rate).expect("not zero"))
    }

    #[tokio::test(start_paused = true)]
    async fn calls_are_spread_evenly() {
        let pacer = pacer(10);
        let begin = Instant::now();
        join_all((0..21).map(|_| pacer.acquire(Priority::Low))).await;
        assert_eq!(begin.elapsed().as_millis() / 100, 20);
        assert_eq!(pacer.count_waiting(), 0);
    }

    #[tokio::test(start_paused = true)]
    async fn uploads_go_before_looks_but_do_not_starve_them() {
        let pacer = pacer(10);
        let order = Mutex::new(String::new());
        let call = async |priority, letter| {
            pacer.acquire(priority).await;
            order.lock().expect("not poisoned").push(letter);
        };
        let looks = join_all((0..4).map(|_| call(Priority::Low, 'l')));
        let uploads = join_all((0..10).map(|_| call(Priority::High, 'u')));
        tokio::join!(looks, uploads);
        // The first look was there before anybody else.
        assert_eq!(*order.lock().expect("not poisoned"), "luuluuluuluuuu");
    }

    #[tokio::test(start_paused = true)]
    async fn a_caller_that_goes_away_holds_nobody_up() {
        let pacer = pacer(1);
        pacer.acquire(Priority::High).await;
        let begin = Instant::now();
        {
            let mut head = Box::pin(pacer.acquire(Priority::High));
            let mut second = Box::pin(pacer.acquire(Priority::Low));
            tokio::select! {
                biased;
                () = &mut head => panic!("too early"),
                () = &mut second => panic!("too early"),
                () = tokio::time::sleep(Duration::from_millis(500)) => {}
            }
            drop(head);
            second.await;
        }
        assert_eq!(begin.elapsed().as_millis() / 10, 100);
        assert_eq!(pacer.count_waiting(), 0);
    }
}
