//! A probe as data: what is said, how the answer is read, and how one takes one's leave.
//!
//! ```text
//! connect ─► question (none: the service speaks first) ─► answer ─► farewell ─► the service closes
//! ```
//!
//! [`of`] is the table of all protocols that need no more than that. Farewells are part of being polite: many
//! servers write a line about a client that just hangs up, and none about one that says that it goes. What each
//! server writes all the same is in the header of its reader.

use std::time::Duration;

use diogenes_proto::{ProbeKind, Verdict};
use tokio::time::Instant;

use crate::conclusion::Conclusion;
use crate::connection::Connector;
use crate::line::{self, Line};
use crate::reply::Reply;
use crate::{amqp, dns, fastcgi, greeters, grpc, kafka, ldap, mongodb, mqtt, mysql, tls};

/// How long a service may take to close after the farewell.
const LEAVE: Duration = Duration::from_millis(200);

/// One protocol's conversation.
pub(crate) struct Script {
    /// Its word.
    pub(crate) protocol: &'static str,
    /// What is said; empty where the service speaks first.
    pub(crate) question: &'static [u8],
    /// The question for people, where there was no answer to it.
    pub(crate) asks: &'static str,
    /// How what was heard since the question is read.
    pub(crate) reader: Reader,
    /// What is said before leaving, by what was heard; empty: nothing.
    pub(crate) farewell: fn(&[u8]) -> &'static [u8],
}

/// How an answer is read.
pub(crate) enum Reader {
    /// Its first line tells all.
    Line(&'static [Line]),
    /// It takes a parser.
    Parser(fn(&[u8]) -> Reply),
}

impl Script {
    pub(crate) fn read(&self, heard: &[u8]) -> Reply {
        match self.reader {
            Reader::Line(lines) => line::read(heard, lines),
            Reader::Parser(parse) => parse(heard),
        }
    }
}

/// The script of a kind of probe; None where there is more to it than one question.
pub(crate) fn of(kind: ProbeKind) -> Option<&'static Script> {
    Some(match kind {
        ProbeKind::Memcached => &greeters::MEMCACHED,
        ProbeKind::Nats => &greeters::NATS,
        ProbeKind::Zookeeper => &greeters::ZOOKEEPER,
        ProbeKind::Smtp => &greeters::SMTP,
        ProbeKind::Imap => &greeters::IMAP,
        ProbeKind::Pop3 => &greeters::POP3,
        ProbeKind::Ftp => &greeters::FTP,
        ProbeKind::Ssh => &greeters::SSH,
        ProbeKind::Mysql => &mysql::SCRIPT,
        ProbeKind::Mongodb => &mongodb::SCRIPT,
        ProbeKind::Amqp => &amqp::SCRIPT,
        ProbeKind::Mqtt => &mqtt::SCRIPT,
        ProbeKind::Kafka => &kafka::SCRIPT,
        ProbeKind::Dns => &dns::SCRIPT,
        ProbeKind::Ldap => &ldap::SCRIPT,
        ProbeKind::Fastcgi => &fastcgi::SCRIPT,
        ProbeKind::Tls => &tls::SCRIPT,
        ProbeKind::Grpc => &grpc::SCRIPT,
        ProbeKind::Http
        | ProbeKind::Redis
        | ProbeKind::Postgresql
        | ProbeKind::Tcp
        | ProbeKind::Discover => return None,
    })
}

/// Plays a script on a connection of its own.
pub(crate) async fn converse(
    connector: &Connector<'_>,
    script: &Script,
) -> Result<Conclusion, Conclusion> {
    let started = Instant::now();
    let mut peer = connector.connect().await?;
    if !script.question.is_empty() {
        peer.ask(script.question).await;
    }
    let heard = peer
        .listen(|bytes| script.read(bytes) != Reply::Incomplete)
        .await;
    let Some(mut conclusion) = conclude(script, peer.heard()) else {
        return Err(peer.unanswered(script.asks, heard));
    };
    conclusion.took = Some(started.elapsed());
    let farewell = (script.farewell)(peer.heard());
    if !farewell.is_empty() {
        peer.leave(farewell, LEAVE).await;
    }
    Ok(conclusion)
}

/// What was heard, as the script reads it; None where that is no answer.
pub(crate) fn conclude(script: &Script, heard: &[u8]) -> Option<Conclusion> {
    let Reply::Answer(answer) = script.read(heard) else {
        return None;
    };
    let mut conclusion = match answer.verdict {
        Verdict::Alive => Conclusion::answered(answer.verdict, answer.words),
        _ => Conclusion::new(answer.verdict, answer.words),
    };
    conclusion.said = answer.said;
    conclusion.version = answer.version;
    conclusion.product = answer.product;
    conclusion.expires_at = answer.expires_at;
    Some(conclusion.in_protocol(script.protocol))
}
