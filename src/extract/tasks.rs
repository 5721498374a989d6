//! Tasks in one sentence, by the words in which they are taken or given.

use std::{collections::HashSet, sync::LazyLock};

use super::{
    cues::{CuePhrases, WordClass},
    people::People,
    roles::find_role_tasks,
    talk::is_meant,
    words::{Word, is_stop},
};

/// The way in which a task was put.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum TaskManner {
    /// "I will …": the speaker's.
    Promise,
    /// "I can …", "we will …": one when it has a date.
    Offer,
    /// "I need to …": the speaker's, in a memo too.
    Need,
    /// "Can you …", "please …": of the person who is spoken to.
    Request,
    /// "You will …", "you are going to …": of a person who is spoken to, where tasks are given out.
    Assigned,
    /// "Bo will …", "Bo, can you …": of the person who is named.
    Named,
    /// "The next step is to …", "somebody has to …".
    Duty,
}

/// A task in a sentence.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct SpokenTask {
    pub(super) manner: TaskManner,
    /// The word with which it begins.
    pub(super) start: usize,
    /// The word behind its phrase: what is to be done, in most.
    pub(super) end: usize,
    /// The person who is named.
    pub(super) named: Option<String>,
}

/// Verbs of work that can be done until a day. Not "see", "say", "show", "be", "explain": these are
/// done at once.
const TASKS: &str = "send lend write draft prepare call phone ring email mail text message ask check find look investigate follow schedule book order buy \
    pay set arrange organise organize speak contact tell inform let share forward upload update fix repair clean test try review finish \
    complete deliver submit file sign print post publish put add remove move change make create build design sketch compile collect gather get \
    bring pick take handle deal sort confirm cancel reserve invite register research analyse analyze measure calculate count dig pull push merge \
    deploy release split rerun raise report circulate distribute summarise summarize document translate train hire negotiate query \
    chase remind return replace install configure provide supply assign verify double-check reach work do have host lead coordinate meet talk \
    run approve copy scan migrate transfer rename restart reset patch roll ship close open clear tidy recruit quote estimate budget evaluate assess \
    examine inspect survey visit dictate record edit proofread correct rewrite refactor remember read pass hand give present own process \
    request apply appeal respond reply answer notify announce alert brief escalate log track monitor prototype propose swap drop fetch \
    ping explore clarify resolve settle secure renew extend terminate complain compare prove validate rework revise adjust amend outline";

pub(super) fn is_task(word: &str) -> bool {
    static VERBS: LazyLock<HashSet<&str>> = LazyLock::new(|| TASKS.split_whitespace().collect());
    VERBS.contains(word)
}

pub(super) fn is_tasking(word: &str) -> bool {
    let Some(stem) = word.strip_suffix("ing") else { return false };
    let doubled =
        stem.len() > 2 && stem.as_bytes()[stem.len() - 1] == stem.as_bytes()[stem.len() - 2];
    is_task(stem)
        || is_task(&format!("{stem}e"))
        || (doubled && stem.is_char_boundary(stem.len() - 1) && is_task(&stem[..stem.len() - 1]))
}

pub(super) fn is_adverb(word: &str) -> bool {
    static ADVERBS: LazyLock<HashSet<&str>> = LazyLock::new(|| {
        "just also then quickly personally definitely certainly gladly immediately kindly \
         please happily first simply actually still again later tomorrow today now maybe \
         however soon shortly therefore indeed"
            .split_whitespace()
            .collect()
    });
    ADVERBS.contains(word)
}

const CLASSES: [WordClass; 3] = [("task", is_task), ("tasking", is_tasking), ("adv", is_adverb)];

/// Phrases of a promise; the word after the phrase's last belongs to the task.
const PROMISES: &str = "
    i will|shall @adv? @adv? @task
    i will @adv? go and|ahead and? @task
    i will @adv? make sure
    i will @adv? be @tasking
    i am going to be @tasking
    i am @adv? going to @adv? @task
    i promise|volunteer to @task
    leave it|that|this with|to me
    let me find|look out|into
    let me get back
    let me follow up";

const OFFERS: &str = "
    i can @adv? @task
    i could @adv? @task
    let me @adv? @task
    we will @adv? @task
    we are going to @adv? @task
    we need|have to @adv? @task
    we must|should @adv? @task";

const ASSIGNMENTS: &str = "
    you will @adv? @task
    you will @adv? be @tasking
    you are going to @adv? @task
    you are going to be @tasking
    you need|have to @adv? @task
    you will have|need to @adv? @task";

/// Verbs of those phrases that assign nothing: "you'll get an answer".
pub(super) const NO_ASSIGNMENTS: [&str; 8] =
    ["get", "find", "have", "meet", "read", "remember", "receive", "make"];

const NEEDS: &str = "
    i need|have to @adv? @task
    i must @adv? @task
    remember to @task
    do not forget to @task
    note to self";

const REQUESTS: &str = "
    can|could|would|will you please? @adv? @task
    can|could|would|will you please? go and|ahead and? @task
    can|could|would|will you please? make sure
    would you mind @tasking
    please @adv? @task
    please make sure
    please do not forget
    i need|want you to @task
    i would like you to @task
    i would ask you to @task";

/// Behind a name.
const NAMED: &str = "
    will @adv? @adv? @task
    will @adv? make sure
    will be sending|writing|calling|preparing|contacting|booking|handling|taking
    is going to @adv? @task
    needs|has to @adv? @task
    must @adv? @task
    should @adv? @task
    is to @task
    can|could|would|will you please? @adv? @task
    can|could|would|will you please? make sure
    would you mind @tasking
    please @adv? @task
    please make sure
    you will @adv? @task
    you are going to @task
    you need|have to @task
    i need|want you to @task
    i would like you to @task
    if you could @task
    agreed|offered|volunteered|promised to @task
    is responsible for
    takes|will care of
    takes over";

const DUTIES: &str = "
    action item|point
    action is|for
    your next|new job|task|assignment is|will be? to
    next step|steps is|are to|for|that
    needs|need|has|have to be done|finished|ready|sent|delivered|signed|submitted|fixed|paid|booked|checked|settled|clarified|confirmed by|before|until|today|tomorrow
    must be done|finished|ready|sent|delivered|signed|submitted|fixed|paid|booked by|before|until|today|tomorrow
    is|are due on|by|tomorrow|next
    someone|somebody needs|has|must|should to? @task
    one of us needs|has|must|should to? @task";

/// Phrases that begin like a task and are none, from the verb on.
const NO_TASKS: &str = "
    ask you|a|another|one|myself|yourself
    call it|this|that|him|her a|the|x|an?
    put it|this|that this|that|bluntly|simply|differently|another
    put myself|yourself|that|this aside|in
    make it|this|a short|quick|brief|clear|start|note|point|guess
    take this|the|a moment|opportunity|chance|minute
    take a|the|you|it|us break|look|guess|minute|moment|second|seat|floor|through|back|step|from|easy|train|bus|liberty
    take questions|notes|turns|that|this back
    take your|my time|word
    share my|a|with screen|story|few|you
    share that
    read out|aloud|you|from|this|that|it|a
    talk|speak|meet again|later|soon|next|then|tomorrow
    talk about|you|through|more|slowly|louder|to you?
    speak about|up|slowly|louder|for
    tell you|me|us
    get to|into|started|there|going|over|used|on|rid|old|sick|better|worse|through|away|out|home|off|lost
    get it|that|this straight|right|wrong
    get back to that|this|it|the
    bring you|us back
    bring that|this|it up
    pick up|on where|on|from|that
    give you|me|us a|an|some|one|another
    give me|us
    give up|in|birth
    run through|out|over|away|into|for
    change my|your mind|subject|tack
    look forward|back|at|like|down|up|around|away|after|over|as
    add that|one|a|another|just|something
    return to|home
    pass away|out|over|on
    remember that|this|it|the|him|her|when|how|what
    do not
    do my|your|our best
    do something|anything|nothing|a|well|fine|this|better|without
    do it|that again
    have to|a|been|no|some|an|the|more|another|it
    try to? remember|explain|imagine|keep|be|answer|summarise|summarize|understand|convince|say|show|describe
    try not
    let you|it|me|them|him|her|go go|do|be|think|in|of|finish|read|get|decide|judge|sleep|take|have|move
    let go
    move on|to|along|over
    report for|that
    answer that|this|it|you
    open with|up|my|your|the
    close with|by|my|your
    raise my|your|a hand|glass|child|children|kids
    meet you|again|there|him|her|them
    show you
    find it|that|them|him|her hard|difficult|strange|funny|interesting|odd
    find in|a|them|out in|lot|few|here
    prove to|that|it|this
    set out|off|sail
    drop in|out|dead
    compare it|this|that|them|the
    deal with it|that|this|them later|now|in
    work on|in|for|at|here|there|with? it?
    count on|to
    pull myself|yourself
    try it|this|that again|later
    hand over|it|you to|over?
    hand over
    present you|to
    quote him|her|them|from|that
    check in|out|that
    note that|this
    present a|the|some|my|three|two
    propose a?
    settle for|down
    settle down
    clear my|your
    prepare for the? worst";

/// Exceptions to [`NO_TASKS`] that are tasks.
const TASKS_ALL_THE_SAME: &str = "
    have a look
    have a word|chat with
    have it|that|this|them|the|a|an ready|done|finished
    look at it|that|this|the when|tomorrow|tonight|today|after|over|on|by|this
    look after it|that
    add it|that|this to
    get it|that|this done|ready|fixed|out
    take it|that|this on|over|up|to
    tell them|him|her|everyone|everybody
    talk to
    meet with
    check that
    open a
    move it|the|them
    work on it|that|this|the
    check in with
    run it|that|this|the";

static PROMISE_ONES: LazyLock<CuePhrases> = LazyLock::new(|| CuePhrases::parse(PROMISES, &CLASSES));
static OFFER_ONES: LazyLock<CuePhrases> = LazyLock::new(|| CuePhrases::parse(OFFERS, &CLASSES));
static ASSIGNMENT_ONES: LazyLock<CuePhrases> =
    LazyLock::new(|| CuePhrases::parse(ASSIGNMENTS, &CLASSES));
static NEED_ONES: LazyLock<CuePhrases> = LazyLock::new(|| CuePhrases::parse(NEEDS, &CLASSES));
static REQUEST_ONES: LazyLock<CuePhrases> = LazyLock::new(|| CuePhrases::parse(REQUESTS, &CLASSES));
static NAMED_ONES: LazyLock<CuePhrases> = LazyLock::new(|| CuePhrases::parse(NAMED, &CLASSES));
static DUTY_ONES: LazyLock<CuePhrases> = LazyLock::new(|| CuePhrases::parse(DUTIES, &CLASSES));
static NO_TASK_ONES: LazyLock<CuePhrases> = LazyLock::new(|| CuePhrases::parse(NO_TASKS, &CLASSES));
static SAME_ONES: LazyLock<CuePhrases> =
    LazyLock::new(|| CuePhrases::parse(TASKS_ALL_THE_SAME, &CLASSES));

/// Returns the tasks of a sentence, the surest manner first: those with a name, then the rest.
pub(super) fn find_tasks(words: &[Word], people: &People) -> Vec<SpokenTask> {
    let mut tasks = named_tasks(words, people);
    tasks.extend(tasks_of_roles(words, people).into_iter().take(TASKS_MAX - tasks.len()));
    if tasks.is_empty() {
        let manners = [
            (TaskManner::Request, &REQUEST_ONES),
            (TaskManner::Promise, &PROMISE_ONES),
            (TaskManner::Need, &NEED_ONES),
            (TaskManner::Duty, &DUTY_ONES),
            (TaskManner::Offer, &OFFER_ONES),
            (TaskManner::Assigned, &ASSIGNMENT_ONES),
        ];
        let first = manners.into_iter().find_map(|(manner, phrases)| {
            let hit = phrases
                .find_hits(words)
                .find(|hit| is_meant(words, hit.start) && is_real(words, hit.end - 1))?;
            Some(SpokenTask { manner, start: hit.start, end: hit.end, named: None })
        });
        tasks.extend(first);
    }
    if let [task] = tasks.as_mut_slice() {
        task.named = task.named.take().or_else(|| spoken_to(words, task, people));
    }
    tasks
}

/// Returns whether a sentence asks somebody to do something.
pub(super) fn asks_for_task(words: &[Word], people: &People) -> bool {
    find_tasks(words, people)
        .iter()
        .any(|task| matches!(task.manner, TaskManner::Request | TaskManner::Named))
}

/// Returns whether the verb at `verb` begins a task, seen with the words that follow it.
fn is_real(words: &[Word], verb: usize) -> bool {
    // "Should have called": to have is a task only in its few phrases.
    let none = words[verb].norm == "have" || NO_TASK_ONES.hit_at(words, verb).is_some();
    !none || SAME_ONES.hit_at(words, verb).is_some()
}

/// The most tasks of one sentence.
const TASKS_MAX: usize = 4;

fn named_tasks(words: &[Word], people: &People) -> Vec<SpokenTask> {
    let mut tasks: Vec<SpokenTask> = Vec::new();
    for at in 0..words.len().saturating_sub(1) {
        let Some(hit) = NAMED_ONES.hit_at(words, at + 1) else { continue };
        let Some(name) = people.person_named(&words[at]) else { continue };
        let own = ["will", "should", "must", "is", "needs", "has"]
            .contains(&words[at + 1].norm.as_str())
            && !words[at].breaks;
        let asked =
            words[at + 1].is_any(&["can", "could", "would", "will", "please", "you", "i", "if"]);
        let meant = is_meant(words, at)
            && is_real(words, hit.end - 1)
            && (own || asked || !words[at].breaks);
        if meant
            && tasks.len() < TASKS_MAX
            && !tasks.iter().any(|task| task.named.as_ref() == Some(&name))
        {
            let manner = TaskManner::Named;
            tasks.push(SpokenTask { manner, start: at + 1, end: hit.end, named: Some(name) });
        }
    }
    tasks
}

/// Returns the tasks of roles; a role that is a person's label is that person.
fn tasks_of_roles(words: &[Word], people: &People) -> Vec<SpokenTask> {
    let found = find_role_tasks(words).into_iter().filter(|task| is_real(words, task.end - 1));
    found
        .map(|task| {
            let name = people.speaker_name(&task.role).unwrap_or(task.role);
            SpokenTask {
                manner: TaskManner::Named,
                start: task.start,
                end: task.end,
                named: Some(name),
            }
        })
        .collect()
}

/// Returns the person that a sentence speaks to: "Bo, …" at its begin, "…, Bo" at its end. A
/// promise has no other owner.
fn spoken_to(words: &[Word], task: &SpokenTask, people: &People) -> Option<String> {
    const LEADERS: [&str; 7] = ["and", "so", "then", "okay", "but", "also", "thanks"];
    if !matches!(task.manner, TaskManner::Request | TaskManner::Duty | TaskManner::Named) {
        return None;
    }
    let first = words.iter().take_while(|word| word.is_any(&LEADERS)).count();
    let called = (first..words.len().min(first + 2)).find(|at| {
        words[*at].breaks
            || at + 1 == task.start
            || words.get(at + 1).is_some_and(|next| next.norm == "you")
    });
    let begin = called.and_then(|at| people.person_named(&words[at]));
    begin.or_else(|| called_at_end(words, people)).or_else(|| {
        if task.manner != TaskManner::Duty {
            return None;
        }
        let named = words.windows(2).find(|pair| pair[0].norm == "for" && !is_stop(&pair[1].norm));
        named.and_then(|pair| people.person_named(&pair[1]))
    })
}

/// Returns the person that a sentence names at its end: "…, Bo", "… Bo, please".
fn called_at_end(words: &[Word], people: &People) -> Option<String> {
    let [.., before, last] = words else { return None };
    let name = if last.norm == "please" { before } else { last };
    let apart = before.breaks || (name == before);
    people.person_named(name).filter(|_| apart)
}

/// Returns whether a sentence only takes on the task before it: "I'll do that", "will do".
pub(super) fn is_bare(words: &[Word]) -> bool {
    const BARE_WORDS_MAX: usize = 9;
    static WHOLE: LazyLock<CuePhrases> = LazyLock::new(|| CuePhrases::parse(BARE, &[]));
    static ENDING: LazyLock<CuePhrases> = LazyLock::new(|| CuePhrases::parse(BARE_AT_END, &[]));
    // "I'll", and nothing behind it in its clause.
    words.len() <= BARE_WORDS_MAX
        && (WHOLE.is_in(words) || ENDING.find_hits(words).any(|hit| words[hit.end - 1].breaks))
}

const BARE: &str = "
    i will|can do|handle|take it|that|this|so|those|them|both
    i will|can take care of it|that|this|those|them
    leave it|that with|to me";

const BARE_AT_END: &str = "
    i will do?
    will do
    i can
    i am on it?
    on it";

/// Returns whether a sentence looks for somebody to do something.
pub(super) fn seeks_somebody(words: &[Word]) -> bool {
    static SEEKING: LazyLock<CuePhrases> = LazyLock::new(|| {
        CuePhrases::parse(
            "
            who can|will|could|would|wants
            who is going to
            who has time
            can|could|would|will somebody|someone|anybody|anyone
            somebody|someone needs|has|should|must|ought
            we need|have somebody|someone|to
            one of us needs|has|should|must",
            &[],
        )
    });
    SEEKING.is_in(words)
}
