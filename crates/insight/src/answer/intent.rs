//! What a question asks for.
//!
//! A question is broken into plain words; the first rule of [`understand`] that fits decides. Where none
//! fits, and where an action is ordered rather than something asked, the answer is what can be asked: nothing
//! is guessed.

use crate::words::lower;

/// What a question asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Intent {
    /// How everything is, in a line.
    Status,
    /// What is wrong, or whether something works, with the reasons.
    Why,
    /// What runs here, and in which role.
    Services,
    /// Who listens where.
    Ports,
    /// Memory against its limit.
    Memory,
    /// CPU against its limit.
    Cpu,
    /// How many processes, and whose.
    Processes,
    /// Since when it runs, or is as it is.
    Uptime,
    /// How often it was restarted.
    Restarts,
    /// What image it was made from.
    Image,
    /// Which versions run.
    Version,
    /// What was found wrong or noteworthy.
    Findings,
    /// What changed lately. Only a supervisor keeps a past, so it answers this itself.
    Changes,
    /// The health, in short.
    Health,
    /// Not understood, or asked for: what can be asked.
    Help,
}

impl Intent {
    /// The word for it in an [`diogenes_proto::Answer`].
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Status => "status",
            Self::Why => "why",
            Self::Services => "services",
            Self::Ports => "ports",
            Self::Memory => "memory",
            Self::Cpu => "cpu",
            Self::Processes => "processes",
            Self::Uptime => "uptime",
            Self::Restarts => "restarts",
            Self::Image => "image",
            Self::Version => "version",
            Self::Findings => "findings",
            Self::Changes => "changes",
            Self::Health => "health",
            Self::Help => "help",
        }
    }
}

/// Longest question read, in bytes; what is beyond is not looked at.
const MAX_QUESTION_BYTES: usize = 4096;

/// The words of a question: lower case, contractions spelled out, punctuation dropped.
pub(super) fn words(question: &str) -> Vec<String> {
    let end = (0..=question.len().min(MAX_QUESTION_BYTES))
        .rev()
        .find(|&end| question.is_char_boundary(end))
        .unwrap_or(0);
    let plain = lower(&question[..end])
        .replace('’', "'")
        .replace("n't", " not")
        .replace("'s", " is")
        .replace("'re", " are");
    plain
        .split(|c: char| !(c.is_alphanumeric() || "._-+".contains(c)))
        .map(|word| word.trim_matches(['.', '-', '_', '+']))
        .filter(|word| !word.is_empty())
        .map(str::to_owned)
        .collect()
}

/// Words that may stand before an order without making it a question.
const POLITE: &[&str] = &[
    "please", "can", "could", "would", "will", "you", "hey", "hi", "hello", "now", "just", "go",
    "and",
];

/// Orders: something is to be done, not told.
const ORDERS: &[&str] = &[
    "restart",
    "reboot",
    "stop",
    "kill",
    "start",
    "delete",
    "remove",
    "flush",
    "deploy",
    "update",
    "upgrade",
    "install",
    "set",
    "change",
    "increase",
    "decrease",
    "raise",
    "lower",
    "scale",
    "write",
    "execute",
    "exec",
    "create",
    "drop",
    "reload",
    "clear",
    "clean",
    "fix",
    "repair",
    "pause",
    "resume",
    "terminate",
    "shutdown",
    "enable",
    "disable",
    "add",
    "make",
    "move",
    "rename",
    "reset",
    "purge",
    "send",
];

/// One rule: the words of which one must be there, and the intent they mean.
type Rule = (Intent, &'static [&'static str]);

/// Rules by single words, the most telling first.
const WORDS: &[Rule] = &[
    (Intent::Why, &["why"]),
    (Intent::Version, &["version", "versions", "release"]),
    // Before "since": "what changed since noon" asks for more than a moment.
    (
        Intent::Changes,
        &[
            "changed", "changes", "change", "history", "happened", "events", "event",
        ],
    ),
    (
        Intent::Restarts,
        &[
            "restarts",
            "restarted",
            "restarting",
            "reboots",
            "rebooted",
            "restart",
        ],
    ),
    (Intent::Uptime, &["uptime", "since", "started", "age"]),
    (
        Intent::Findings,
        &[
            "finding",
            "findings",
            "problems",
            "issues",
            "warnings",
            "warning",
            "alerts",
            "alarms",
            "noteworthy",
            "troubles",
        ],
    ),
    (Intent::Memory, &["memory", "mem", "ram", "rss", "oom"]),
    (
        Intent::Cpu,
        &[
            "cpu",
            "cpus",
            "processor",
            "processors",
            "throttled",
            "throttling",
            "throttle",
            "cores",
        ],
    ),
    (
        Intent::Ports,
        &[
            "port",
            "ports",
            "listen",
            "listens",
            "listening",
            "listener",
            "listeners",
            "socket",
            "sockets",
            "published",
            "exposed",
            "endpoint",
            "endpoints",
        ],
    ),
    (
        Intent::Processes,
        &["process", "processes", "pid", "pids", "ps", "threads"],
    ),
    (Intent::Image, &["image", "tag"]),
    (
        Intent::Why,
        &[
            "wrong",
            "broken",
            "cause",
            "causes",
            "caused",
            "reason",
            "explain",
            "diagnose",
            "diagnosis",
            "happening",
            "crash",
            "crashed",
            "crashing",
            "crashes",
            "fail",
            "fails",
            "failed",
            "failing",
            "failure",
            "problem",
            "trouble",
            "issue",
            "unhealthy",
            "sick",
            "degraded",
            "down",
            "dead",
            "died",
            "error",
            "errors",
            "hanging",
            "hangs",
            "hung",
            "stuck",
            "unresponsive",
            "broke",
        ],
    ),
    (Intent::Health, &["health", "healthy", "healthcheck"]),
    (
        Intent::Status,
        &["status", "state", "summary", "overview", "report"],
    ),
    (
        Intent::Services,
        &[
            "service",
            "services",
            "role",
            "roles",
            "components",
            "applications",
            "apps",
        ],
    ),
];

/// Rules by words in a row.
const PHRASES: &[(Intent, &[&str])] = &[
    (Intent::Help, &["can", "i", "ask"]),
    (Intent::Help, &["can", "you", "do"]),
    (Intent::Help, &["can", "you", "tell"]),
    (Intent::Help, &["can", "you", "answer"]),
    (Intent::Why, &["how", "come"]),
    (Intent::Restarts, &["how", "often"]),
    (Intent::Uptime, &["how", "long"]),
    (Intent::Uptime, &["when", "did"]),
    (Intent::Uptime, &["start", "time"]),
    (Intent::Uptime, &["how", "old"]),
    (Intent::Image, &["built", "from"]),
    (Intent::Image, &["made", "from"]),
];

/// The same, after [`WORDS`] have found nothing.
const LATE_PHRASES: &[(Intent, &[&str])] = &[
    (Intent::Changes, &["what", "is", "new"]),
    (Intent::Services, &["what", "runs"]),
    (Intent::Services, &["what", "do", "you", "run"]),
    (Intent::Services, &["what", "is", "running"]),
    (Intent::Services, &["what", "are", "you"]),
    (Intent::Services, &["what", "do", "you", "do"]),
    (Intent::Services, &["who", "are", "you"]),
    (Intent::Services, &["what", "is", "this"]),
    (Intent::Services, &["what", "is", "inside"]),
    (Intent::Services, &["what", "is", "in"]),
    (Intent::Services, &["list", "everything"]),
    (Intent::Status, &["how", "are"]),
    (Intent::Status, &["how", "is"]),
    (Intent::Status, &["how", "do", "you", "feel"]),
    (Intent::Status, &["how", "does", "it", "look"]),
    (Intent::Status, &["what", "is", "up"]),
    (Intent::Status, &["what", "is", "going", "on"]),
];

/// How a question for yes or no begins, and what of it may be asked.
const ASKS: &[&str] = &["is", "are", "does", "do", "has", "can", "did", "was"];
const WELL: &[&str] = &[
    "ok",
    "okay",
    "alright",
    "fine",
    "up",
    "alive",
    "working",
    "works",
    "work",
    "running",
    "run",
    "well",
    "good",
    "reachable",
    "ready",
    "available",
    "responding",
    "respond",
    "answering",
    "answer",
    "online",
    "serving",
    "there",
];

/// Words for a role, as in "which database is it?".
const WHICH: &[&str] = &["which", "what"];
const ROLE_NOUNS: &[&str] = &[
    "database",
    "databases",
    "db",
    "cache",
    "queue",
    "broker",
    "proxy",
    "web",
    "webserver",
    "server",
    "worker",
    "workers",
];

/// What a question asks for. Deterministic, and blind to what runs: what it asks *about* is found when it
/// is answered.
#[must_use]
pub fn understand(question: &str) -> Intent {
    of_words(&words(question))
}

pub(super) fn of_words(words: &[String]) -> Intent {
    let has = |word: &str| words.iter().any(|w| w == word);
    let has_row = |row: &[&str]| {
        words
            .windows(row.len())
            .any(|w| w.iter().zip(row).all(|(a, b)| a == b))
    };
    let order = words.iter().find(|word| !POLITE.contains(&word.as_str()));
    if words.is_empty() || has("help") {
        return Intent::Help;
    }
    if has("why") {
        return Intent::Why;
    }
    if let Some((intent, _)) = PHRASES.iter().find(|(_, row)| has_row(row)) {
        return *intent;
    }
    let is_noun = has("count") || has("policy") || has("number");
    if order.is_some_and(|word| ORDERS.contains(&word.as_str())) && !is_noun {
        return Intent::Help;
    }
    if let Some((intent, _)) = WORDS
        .iter()
        .find(|(_, any)| any.iter().any(|word| has(word)))
    {
        return *intent;
    }
    if let Some((intent, _)) = LATE_PHRASES.iter().find(|(_, row)| has_row(row)) {
        return *intent;
    }
    let asks = words
        .first()
        .is_some_and(|word| ASKS.contains(&word.as_str()));
    if asks && WELL.iter().any(|word| has(word)) || has("not") && WELL.iter().any(|word| has(word))
    {
        return Intent::Why;
    }
    if words.iter().any(|w| WHICH.contains(&w.as_str())) && ROLE_NOUNS.iter().any(|word| has(word))
    {
        return Intent::Services;
    }
    if has("running") || has("everything") && has("ok") {
        return if has("running") {
            Intent::Services
        } else {
            Intent::Why
        };
    }
    Intent::Help
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn many_ways_to_ask() {
        let table: &[(Intent, &[&str])] = &[
            (
                Intent::Status,
                &[
                    "status",
                    "Status?",
                    "what is your status?",
                    "What's the status of redis",
                    "how are you?",
                    "How is it going?",
                    "how's redis doing?",
                    "what's up?",
                    "give me a summary",
                    "overview please",
                    "show me the state",
                    "how are things",
                ],
            ),
            (
                Intent::Why,
                &[
                    "why",
                    "why?",
                    "Why is redis down?",
                    "what's wrong?",
                    "what is wrong with you",
                    "is redis ok?",
                    "Is Redis okay",
                    "is everything ok?",
                    "is everything alright",
                    "why is nginx unhealthy?",
                    "what is happening?",
                    "what happened, and why?",
                    "is the database up?",
                    "is postgres running?",
                    "redis is not working",
                    "explain",
                    "does redis work?",
                    "are you alive",
                    "isn't redis responding?",
                    "how come redis fails?",
                    "diagnose",
                    "what is the problem?",
                    "why did it restart?",
                    "redis doesn't answer",
                ],
            ),
            (
                Intent::Services,
                &[
                    "services",
                    "what services do you run?",
                    "which services are there",
                    "what runs here?",
                    "what is running?",
                    "What's running in this container?",
                    "what are you running",
                    "roles",
                    "what are your roles?",
                    "who are you?",
                    "what are you?",
                    "which database is this?",
                    "list services",
                    "what is inside",
                    "what do you run?",
                    "what do you do?",
                ],
            ),
            (
                Intent::Ports,
                &[
                    "ports",
                    "which ports are open?",
                    "what port does redis listen on",
                    "where do you listen?",
                    "on which port is nginx?",
                    "which ports are published",
                ],
            ),
            (
                Intent::Memory,
                &[
                    "memory",
                    "how much memory do you use?",
                    "RAM?",
                    "memory usage",
                    "are you out of memory",
                    "is memory ok?",
                    "mem",
                ],
            ),
            (
                Intent::Cpu,
                &[
                    "cpu",
                    "CPU usage?",
                    "how much cpu do you use",
                    "are you throttled?",
                ],
            ),
            (
                Intent::Processes,
                &[
                    "processes",
                    "how many processes are there?",
                    "ps",
                    "which pids",
                    "list processes",
                ],
            ),
            (
                Intent::Uptime,
                &[
                    "uptime",
                    "how long have you been running?",
                    "since when are you up",
                    "when did you start?",
                    "when was it started",
                    "how long has redis been down?",
                    "how old are you",
                    "since when is it down?",
                    "when did it change?",
                ],
            ),
            (
                Intent::Restarts,
                &[
                    "restarts",
                    "how often were you restarted?",
                    "restart count",
                    "how many restarts?",
                    "has it been restarted",
                    "did it restart?",
                ],
            ),
            (
                Intent::Image,
                &[
                    "image",
                    "which image is this?",
                    "what image are you running",
                    "what are you built from?",
                ],
            ),
            (
                Intent::Version,
                &[
                    "version",
                    "which version of redis",
                    "what version are you",
                    "redis version?",
                    "what's the postgres version",
                    "versions",
                ],
            ),
            (
                Intent::Findings,
                &[
                    "findings",
                    "any findings?",
                    "any problems?",
                    "are there issues",
                    "any warnings",
                ],
            ),
            (
                Intent::Changes,
                &[
                    "what changed",
                    "What's changed?",
                    "changes",
                    "did anything change?",
                    "has it changed lately",
                    "what happened?",
                    "what happened to redis",
                    "What happened in the last hour?",
                    "what has happened since the restart",
                    "what happened to the memory?",
                    "history",
                    "show me its history",
                    "any events?",
                    "when was the last change?",
                    "what's new?",
                ],
            ),
            (
                Intent::Health,
                &[
                    "health",
                    "are you healthy?",
                    "is redis healthy",
                    "how healthy are you?",
                    "health of nginx",
                    "what is your health",
                ],
            ),
            (
                Intent::Help,
                &[
                    "",
                    "   ",
                    "?",
                    "help",
                    "what can I ask?",
                    "what can you do?",
                    "banana",
                    "tell me a joke",
                    "wie geht es dir?",
                    "restart redis",
                    "please stop nginx",
                    "can you restart the container?",
                    "flush the cache",
                    "rm -rf /",
                    "what is the redis password?",
                    "kill 17",
                    "make me a sandwich",
                    "set memory to 1g",
                    "change the port",
                    "clear history",
                    "\u{1b}[31m",
                    "what is the meaning of life",
                ],
            ),
        ];
        for (intent, questions) in table {
            for question in *questions {
                assert_eq!(understand(question), *intent, "{question:?}");
            }
        }
    }

    #[test]
    fn a_giant_question_is_cut() {
        assert_eq!(understand(&"é ".repeat(100_000)), Intent::Help);
        assert!(words(&"a ".repeat(100_000)).len() <= MAX_QUESTION_BYTES);
    }
}
