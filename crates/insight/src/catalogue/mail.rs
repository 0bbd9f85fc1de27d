//! Mail: servers that take it, keep it, and look into it.

use super::Language::Perl;
use super::Mark::{Calls, Executable, Helper, Runs, Title};
use super::{Kind, USUAL};
use diogenes_proto::ProbeKind;

/// A server that takes mail.
const SMTP: Kind = Kind {
    role: "mail",
    probe: ProbeKind::Smtp,
    default_port: Some(25),
    ..USUAL
};

/// A server that gives mail out.
const IMAP: Kind = Kind {
    role: "mail",
    probe: ProbeKind::Imap,
    default_port: Some(143),
    ..USUAL
};

/// A filter, asked by a server.
const FILTER: Kind = Kind {
    role: "mail",
    probe: ProbeKind::Tcp,
    ..USUAL
};

pub(super) const KINDS: &[Kind] = &[
    Kind {
        kind: "postfix",
        name: "Postfix",
        // "master" says little by itself. Debian; Alpine and Red Hat.
        marks: &[
            Executable("postfix/sbin/master"),
            Executable("libexec/postfix/master"),
            Helper("pickup"),
            Helper("qmgr"),
            Helper("tlsmgr"),
            Helper("smtpd"),
            Helper("smtp"),
            Helper("cleanup"),
            Helper("bounce"),
            Helper("anvil"),
            Helper("local"),
            Helper("trivial-rewrite"),
            Helper("postlogd"),
            Helper("proxymap"),
            Helper("scache"),
            Helper("showq"),
            Helper("lmtp"),
            Helper("flush"),
            Helper("postscreen"),
            Helper("dnsblog"),
            Helper("verify"),
            Helper("virtual"),
            Helper("pipe"),
            Helper("error"),
            Helper("tlsproxy"),
            Helper("spawn"),
        ],
        ..SMTP
    },
    Kind {
        kind: "exim",
        name: "Exim",
        // Debian's executable is exim4.
        marks: &[Executable("exim")],
        ..SMTP
    },
    Kind {
        kind: "opensmtpd",
        name: "OpenSMTPD",
        marks: &[Executable("usr/sbin/smtpd"), Calls("smtpd: ")],
        ..SMTP
    },
    Kind {
        kind: "sendmail",
        name: "Sendmail",
        marks: &[
            Executable("sendmail-mta"),
            Executable("sendmail.sendmail"),
            Calls("sendmail: "),
        ],
        ..SMTP
    },
    Kind {
        kind: "mailpit",
        name: "Mailpit",
        marks: &[
            Executable("mailpit"),
            Executable("MailHog"),
            Executable("mailhog"),
        ],
        default_port: Some(1025),
        ..SMTP
    },
    Kind {
        kind: "dovecot",
        name: "Dovecot",
        marks: &[
            Executable("dovecot"),
            // Below /usr/lib/dovecot in Debian.
            Helper("anvil"),
            Helper("log"),
            Helper("config"),
            Helper("stats"),
            Helper("auth"),
            Helper("imap-login"),
            Helper("pop3-login"),
            Helper("imap"),
            Helper("pop3"),
            Helper("lmtp"),
            Helper("managesieve-login"),
            Helper("managesieve"),
            Helper("ssl-params"),
            Helper("indexer"),
            Helper("indexer-worker"),
            Helper("director"),
        ],
        ..IMAP
    },
    Kind {
        kind: "cyrus",
        name: "Cyrus IMAP",
        // Debian: /usr/lib/cyrus/bin/master, or /usr/sbin/cyrmaster.
        marks: &[
            Executable("cyrus/bin/master"),
            Executable("cyrmaster"),
            Executable("cyrus-master"),
            Helper("imapd"),
            Helper("pop3d"),
            Helper("lmtpd"),
            Helper("idled"),
            Helper("notifyd"),
        ],
        ..IMAP
    },
    Kind {
        kind: "courier",
        name: "Courier",
        marks: &[Executable("couriertcpd")],
        ..IMAP
    },
    Kind {
        kind: "rspamd",
        name: "Rspamd",
        marks: &[Executable("rspamd"), Calls("rspamd: ")],
        probe: ProbeKind::Http,
        default_port: Some(11_334),
        readiness: Some("/ping"),
        ..FILTER
    },
    Kind {
        kind: "spamassassin",
        name: "SpamAssassin",
        // Debian's spamd, a Perl script; its children are called "spamd child".
        marks: &[Runs(Perl, "spamd"), Title(Perl, "spamd child")],
        default_port: Some(783),
        ..FILTER
    },
    Kind {
        kind: "amavis",
        name: "Amavis",
        marks: &[
            Runs(Perl, "amavisd"),
            Runs(Perl, "amavisd-new"),
            Title(Perl, "amavisd ("),
        ],
        default_port: Some(10_024),
        ..FILTER
    },
    Kind {
        kind: "clamav",
        name: "ClamAV",
        marks: &[Executable("clamd")],
        default_port: Some(3310),
        role: "security",
        ..FILTER
    },
    Kind {
        kind: "opendkim",
        name: "OpenDKIM",
        marks: &[Executable("opendkim")],
        ..FILTER
    },
    Kind {
        kind: "opendmarc",
        name: "OpenDMARC",
        marks: &[Executable("opendmarc")],
        ..FILTER
    },
];
