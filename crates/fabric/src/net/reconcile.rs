//! Reconcile: two stores become equal, whatever either has missed (range-based set reconciliation, Meyer 2022, by
//! `negentropy`). Broadcast is quick and may miss; this is slow and may not.
//!
//! Who starts keeps a session; who answers keeps nothing. What the one has and the other lacks is sent along
//! as it is found; what it lacks is asked for by id. Everything is bounded; what didn't fit comes next time.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use negentropy::{Bound, Id, Item, Negentropy, NegentropyStorageBase, NegentropyStorageVector};
use types::Digest;

use super::envelope::{MAX_WANTED, Message};
use super::output::Offence;
use super::peer::PeerId;
use super::store::Store;

/// The most bytes of one step.
const FRAME: u64 = 32 * 1024;
/// The most steps of a session: each divides ranges by 16, so honest ones need four.
const MAX_STEPS: u32 = 64;
/// Records are sent in messages of about so many bytes.
const BATCH: usize = 96 * 1024;
/// The most that is sent unasked in a session, and the most that one question is answered with, in batches.
const MAX_BATCHES: usize = 16;
/// The most ids noted down in a session.
const MAX_NEED: usize = 16 * 1024;
/// What was refused is not asked for again so soon.
const REFUSED_FOR: Duration = Duration::from_secs(600);
/// So many refusals are remembered.
const MAX_REFUSED: usize = 16 * 1024;

/// Stands for no session: records that nobody asked for.
pub(super) const UNASKED: u32 = 0;
/// Stands for no session: records that nobody asked for and their sender doubts, see [`crate::Absence`]. Only whoever
/// is away gets them.
pub(super) const DOUBTED: u32 = u32::MAX;

#[derive(Debug, Clone)]
struct Ids(Arc<NegentropyStorageVector>);

impl NegentropyStorageBase for Ids {
    fn size(&self) -> Result<usize, negentropy::Error> {
        self.0.size()
    }

    fn get_item(&self, i: usize) -> Result<Option<Item>, negentropy::Error> {
        self.0.get_item(i)
    }

    fn iterate(
        &self,
        begin: usize,
        end: usize,
        each: &mut dyn FnMut(Item, usize) -> Result<bool, negentropy::Error>,
    ) -> Result<(), negentropy::Error> {
        self.0.iterate(begin, end, each)
    }

    fn find_lower_bound(&self, first: usize, last: usize, value: &Bound) -> usize {
        self.0.find_lower_bound(first, last, value)
    }
}

struct Session {
    id: u32,
    peer: PeerId,
    compare: Negentropy<'static, Ids>,
    steps: u32,
    compared: bool,
    need: VecDeque<Digest>,
    /// Whether a question is out.
    asked: bool,
    sent: usize,
    cut_short: bool,
    /// Whether a record came whose writer may not write, as far as we knew then.
    early: bool,
    /// Whether we learned who else may write.
    learned: bool,
    /// Whether the other stayed, as far as it has said.
    stayed: Option<bool>,
    /// What we doubt and the other lacks, where we were away and nothing came in doubt since the session began.
    lacked: Option<Vec<Digest>>,
}

/// What became of a step.
#[derive(Default)]
pub(super) struct Step {
    pub(super) send: Vec<Message>,
    /// The session is over; whether there is more to do at once.
    pub(super) over: Option<bool>,
    /// One that stayed lacks these, of what we doubt.
    pub(super) lacked: Option<Vec<Digest>>,
}

#[derive(Default)]
pub(super) struct Reconcile {
    session: Option<Session>,
    count: u32,
    ids: Option<(u64, Ids)>,
    refused: BTreeMap<Digest, Duration>,
    /// Whether a session was ever finished: before, what we learn is news to us only.
    pub(super) settled: bool,
    /// Whether we learned who else may write, since this was asked last.
    learned: bool,
}

impl Reconcile {
    /// Starts a session, over one that hangs.
    pub(super) fn start(&mut self, peer: PeerId, store: &impl Store) -> Option<(u32, Vec<Message>)> {
        let mut compare = Negentropy::owned(self.ids(store), FRAME).ok()?;
        let body = compare.initiate().ok()?;
        self.count = (self.count + 1) % DOUBTED;
        self.count = self.count.max(UNASKED + 1);
        let id = self.count;
        self.session = Some(Session {
            id,
            peer,
            compare,
            steps: 0,
            compared: false,
            need: VecDeque::new(),
            asked: false,
            sent: 0,
            cut_short: false,
            early: false,
            learned: false,
            stayed: None,
            lacked: store.is_away().then(Vec::new),
        });
        let query = Message::Query { session: id, body };
        let ask = store.is_away().then_some(Message::AskStayed { session: id });
        Some((id, ask.into_iter().chain([query]).collect()))
    }

    /// Whether the other stayed, as it says itself.
    pub(super) fn stayed(&mut self, from: PeerId, id: u32, stayed: bool) {
        if let Some(session) = self.session.as_mut().filter(|s| s.id == id && s.peer == from) {
            session.stayed = Some(stayed);
        }
    }

    /// More is in doubt than this session has compared.
    pub(super) fn doubted(&mut self) {
        if let Some(session) = &mut self.session {
            session.lacked = None;
        }
    }

    pub(super) const fn busy(&self) -> bool {
        self.session.is_some()
    }

    /// Ends a session that made no end; whether it was that one.
    pub(super) fn abandon(&mut self, id: u32) -> bool {
        let hangs = self.session.as_ref().is_some_and(|session| session.id == id);
        if hangs {
            self.session = None;
        }
        hangs
    }

    /// Another's step.
    pub(super) fn query(
        &mut self,
        session: u32,
        body: &[u8],
        store: &impl Store,
    ) -> Result<Message, Offence> {
        let ids = self.ids(store);
        let answer = Negentropy::owned(ids, FRAME).and_then(|mut compare| compare.reconcile(body));
        answer
            .map(|body| Message::Answer { session, body })
            .map_err(|_| Offence::Reconcile("its query can't be read"))
    }

    /// The answer to our step.
    pub(super) fn answer(
        &mut self,
        from: PeerId,
        id: u32,
        body: &[u8],
        store: &impl Store,
    ) -> Result<Step, Offence> {
        let Some(session) = self.session.as_mut().filter(|s| s.id == id && s.peer == from && !s.compared)
        else {
            return Ok(Step::default());
        };
        let (mut have, mut need) = (Vec::new(), Vec::new());
        let next = session.compare.reconcile_with_ids(body, &mut have, &mut need);
        session.steps += 1;
        let (Ok(next), true) = (next, session.steps <= MAX_STEPS) else {
            self.session = None;
            return Err(Offence::Reconcile("its answer makes no sense"));
        };
        let room = MAX_NEED.saturating_sub(session.need.len());
        session.cut_short |= need.len() > room;
        let refused = &self.refused;
        let need = need.into_iter().take(room).map(|id| Digest::from_bytes(id.to_bytes()));
        session.need.extend(need.filter(|id| !refused.contains_key(id)));
        let left = MAX_BATCHES.saturating_sub(session.sent);
        let have = have.into_iter().map(|id| Digest::from_bytes(id.to_bytes()));
        let (doubted, have): (Vec<_>, Vec<_>) = have.partition(|id| store.doubts(id));
        let (mut send, whole) = batches(UNASKED, have.into_iter(), left, store);
        session.cut_short |= !whole;
        if session.stayed == Some(false) {
            let (doubted, whole) =
                batches(DOUBTED, doubted.into_iter(), left.saturating_sub(send.len()), store);
            session.cut_short |= !whole;
            send.extend(doubted);
        } else if let Some(lacked) = &mut session.lacked {
            lacked.extend(doubted);
        }
        session.sent += send.len();
        match next {
            Some(body) => send.push(Message::Query { session: id, body }),
            None => session.compared = true,
        }
        Ok(self.go_on(send))
    }

    /// Records came for a session: ours, if it is the last of an answer, goes on.
    pub(super) fn received(&mut self, from: PeerId, id: u32, last: bool) -> Step {
        match &mut self.session {
            Some(session) if session.id == id && session.peer == from && session.asked && last => {
                session.asked = false;
                self.go_on(Vec::new())
            }
            _ => Step::default(),
        }
    }

    /// A record was refused since its writer may not write: perhaps it came before what makes it one that may.
    pub(super) fn came_early(&mut self) {
        if let Some(session) = &mut self.session {
            session.early = true;
        }
    }

    /// A record was taken that says who may write: what was refused may hold now.
    pub(super) fn learned(&mut self) {
        self.refused.clear();
        self.learned = true;
        if let Some(session) = &mut self.session {
            session.learned = true;
        }
    }

    /// Whether we learned who else may write since this was asked last.
    pub(super) const fn take_learned(&mut self) -> bool {
        std::mem::replace(&mut self.learned, false)
    }

    /// Answers a question for records.
    pub(super) fn wanted(session: u32, ids: Vec<Digest>, store: &impl Store) -> Vec<Message> {
        let known = ids.into_iter().filter(|id| !store.doubts(id));
        let (mut send, _) = batches(session, known, MAX_BATCHES, store);
        match send.last_mut() {
            Some(Message::Records { last, .. }) => *last = true,
            _ => send.push(Message::Records { session, last: true, records: Vec::new() }),
        }
        send
    }

    /// A record that is not to be asked for again for a while.
    pub(super) fn refuse(&mut self, id: Digest, now: Duration) {
        if self.refused.len() >= MAX_REFUSED {
            self.refused.clear();
        }
        self.refused.insert(id, now);
    }

    /// What stood in the way of others is gone: they may be asked for again.
    pub(super) fn forgive(&mut self) {
        self.refused.clear();
    }

    /// Whether a record was refused lately.
    pub(super) fn refuses(&self, id: &Digest) -> bool {
        self.refused.contains_key(id)
    }

    pub(super) fn sweep(&mut self, now: Duration) {
        self.refused.retain(|_, at| now.saturating_sub(*at) < REFUSED_FOR);
    }

    fn go_on(&mut self, mut send: Vec<Message>) -> Step {
        let Some(session) = &mut self.session else { return Step { send, ..Step::default() } };
        if !session.asked && !session.need.is_empty() {
            let count = session.need.len().min(MAX_WANTED);
            let ids = session.need.drain(..count).collect();
            send.push(Message::Want { session: session.id, ids });
            session.asked = true;
        }
        let again = session.cut_short || (session.early && session.learned);
        let over = (session.compared && !session.asked).then_some(again);
        let mut lacked = None;
        if over.is_some() {
            lacked = session.lacked.take().filter(|_| !again && session.stayed == Some(true));
            self.session = None;
            self.settled = true;
        }
        Step { send, over, lacked }
    }

    fn ids(&mut self, store: &impl Store) -> Ids {
        let edition = store.edition();
        match &self.ids {
            Some((of, ids)) if *of == edition => ids.clone(),
            _ => {
                let mut vector = NegentropyStorageVector::new();
                for id in store.ids() {
                    vector.insert(0, Id::from_byte_array(*id.as_bytes())).expect("it is not sealed yet");
                }
                vector.seal().expect("it is not sealed yet");
                let ids = Ids(Arc::new(vector));
                self.ids = Some((edition, ids.clone()));
                ids
            }
        }
    }
}

/// Records in messages, those first that say who may write; whether all went in.
fn batches(
    session: u32,
    ids: impl Iterator<Item = Digest>,
    most: usize,
    store: &impl Store,
) -> (Vec<Message>, bool) {
    let mut messages = Vec::new();
    let mut ids: Vec<Digest> = ids.collect();
    ids.sort_by_key(|id| store.precedence(*id));
    let (mut records, mut size) = (Vec::new(), 0);
    for record in ids.into_iter().filter_map(|id| store.encoded(id)) {
        if messages.len() >= most {
            return (messages, false);
        }
        size += record.len();
        records.push(record);
        if size >= BATCH {
            messages.push(Message::Records { session, last: false, records: std::mem::take(&mut records) });
            size = 0;
        }
    }
    if !records.is_empty() {
        messages.push(Message::Records { session, last: false, records });
    }
    (messages, true)
}
