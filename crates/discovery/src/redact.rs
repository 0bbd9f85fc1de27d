//! Takes the secrets out of command lines and log lines, before they leave the container.
//!
//! ```text
//! argv ─┬─► words   what an option's name, or the program, says of the next word ─┐
//! text ─┘   └─► shapes   what gives itself away: URLs, headers, key=value, tokens ├─► [redacted]
//!               └─► names   which names are those of secrets                      ┘
//! ```
//!
//! Where in doubt the text is hidden: a reader misses little, and a secret that got out stays out.

mod names;
mod shapes;
mod words;

use diogenes_proto::Untrusted;

pub use diogenes_proto::untrusted::REDACTED;

/// A command line without its secrets: one item for each argument.
#[must_use]
pub fn redact(argv: &[Vec<u8>]) -> Vec<Untrusted> {
    let arguments: Vec<_> = argv
        .iter()
        .map(|one| String::from_utf8_lossy(one))
        .collect();
    words::arguments(&arguments)
        .into_iter()
        .map(Untrusted::new)
        .collect()
}

/// A line of a log, or of a shell, without its secrets. Line feeds and blanks stay as they are.
#[must_use]
pub fn redact_text(text: &str) -> String {
    words::text(text, 0)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn line(command: &[&str]) -> Vec<String> {
        let argv: Vec<_> = command.iter().map(|one| one.as_bytes().to_vec()).collect();
        redact(&argv)
            .iter()
            .map(|one| one.as_raw().to_owned())
            .collect()
    }

    #[test]
    fn hides_secrets_on_command_lines() {
        let cases: &[(&[&str], &[&str])] = &[
            (
                &["redis-server", "--requirepass", "s3cret"],
                &["redis-server", "--requirepass", "[redacted]"],
            ),
            (
                &["redis-server", "--masterauth", "--x"],
                &["redis-server", "--masterauth", "--x"],
            ),
            (
                &["app", "--password=s3cret"],
                &["app", "--password=[redacted]"],
            ),
            (
                &["app", "--password", "-s3cret"],
                &["app", "--password", "[redacted]"],
            ),
            (
                &["app", "--password=a,b;c d&e"],
                &["app", "--password=[redacted]"],
            ),
            (
                &["app", "--db-password", "s3", "--port", "80"],
                &["app", "--db-password", "[redacted]", "--port", "80"],
            ),
            (
                &["app", "-password", "s3"],
                &["app", "-password", "[redacted]"],
            ),
            (
                &["java", "-Dspring.datasource.password=x1", "-jar", "a.jar"],
                &[
                    "java",
                    "-Dspring.datasource.password=[redacted]",
                    "-jar",
                    "a.jar",
                ],
            ),
            (
                &["mysql", "-ps3cret", "-u", "bob"],
                &["mysql", "-p[redacted]", "-u", "bob"],
            ),
            (
                &["/usr/bin/mysqldump", "-ubob", "-ps3"],
                &["/usr/bin/mysqldump", "-ubob", "-p[redacted]"],
            ),
            (
                &["env", "PASSWORD=x", "MYSQL_ROOT_PASSWORD=y z", "app"],
                &[
                    "env",
                    "PASSWORD=[redacted]",
                    "MYSQL_ROOT_PASSWORD=[redacted]",
                    "app",
                ],
            ),
            (
                &["app", "--token", "abc"],
                &["app", "--token", "[redacted]"],
            ),
            (
                &["app", "--secret-key-base=abc", "--apiKey", "k"],
                &[
                    "app",
                    "--secret-key-base=[redacted]",
                    "--apiKey",
                    "[redacted]",
                ],
            ),
            (
                &["app", "--api-key", "abc"],
                &["app", "--api-key", "[redacted]"],
            ),
            (
                &["curl", "-H", "Authorization: Bearer abc", "http://x"],
                &["curl", "-H", "Authorization: Bearer [redacted]", "http://x"],
            ),
            (
                &["curl", "-H", "X-Api-Key: abc"],
                &["curl", "-H", "X-Api-Key: [redacted]"],
            ),
            (
                &["curl", "-u", "bob:s3", "http://x"],
                &["curl", "-u", "bob:[redacted]", "http://x"],
            ),
            (&["curl", "-ubob:s3"], &["curl", "-ubob:[redacted]"]),
            (
                &["curl", "--user=bob:s3"],
                &["curl", "--user=bob:[redacted]"],
            ),
            (
                &["curl", "-u", "sk_test_0123456789abcdefABCD:"],
                &["curl", "-u", "[redacted]:"],
            ),
            (
                &["curl", "-ughp_0123456789abcdefABCD:x-oauth-basic"],
                &["curl", "-u[redacted]:[redacted]"],
            ),
            (
                &["app", "ghp_0123456789abcdefABCD.password=s3"],
                &["app", "[redacted]=[redacted]"],
            ),
            (
                &["sshpass", "-p", "s3", "ssh", "-p", "22", "h"],
                &["sshpass", "-p", "[redacted]", "ssh", "-p", "22", "h"],
            ),
            (
                &["sshpass", "-ps3", "ssh", "h"],
                &["sshpass", "-p[redacted]", "ssh", "h"],
            ),
            (
                &["redis-cli", "-a", "s3", "ping"],
                &["redis-cli", "-a", "[redacted]", "ping"],
            ),
            (
                &["celery", "-b", "redis://:s3cret@h:6379/0"],
                &["celery", "-b", "redis://:[redacted]@h:6379/0"],
            ),
            (
                &["app", "postgres://bob:p%40ss@db/x?sslmode=no"],
                &["app", "postgres://bob:[redacted]@db/x?sslmode=no"],
            ),
            (
                &["app", "amqp://bob:a/b@mq/"],
                &["app", "amqp://bob:[redacted]@mq/"],
            ),
            (
                &["app", "--dsn", "bob:s3cret@tcp(db:3306)/x"],
                &["app", "--dsn", "bob:[redacted]@tcp(db:3306)/x"],
            ),
            (
                &[
                    "app",
                    "jdbc:postgresql://db/x?user=bob&password=s3&ssl=true",
                ],
                &[
                    "app",
                    "jdbc:postgresql://db/x?user=bob&password=[redacted]&ssl=true",
                ],
            ),
            (
                &["app", "Server=db;Uid=bob;Pwd=s3;Database=x"],
                &["app", "Server=db;Uid=bob;Pwd=[redacted];Database=x"],
            ),
            (
                &["sh", "-c", "mysql -ps3cret -e 'select 1' && nginx -p /srv"],
                &[
                    "sh",
                    "-c",
                    "mysql -p[redacted] -e 'select 1' && nginx -p /srv",
                ],
            ),
            (
                &[
                    "sh",
                    "-c",
                    "exec redis-server --requirepass 's3 cret' --port 1",
                ],
                &[
                    "sh",
                    "-c",
                    "exec redis-server --requirepass [redacted] --port 1",
                ],
            ),
            (
                &["sh", "-c", "bash -c \"TOKEN=abc app --password=x\""],
                &[
                    "sh",
                    "-c",
                    "bash -c \"TOKEN=[redacted] app --password=[redacted]\"",
                ],
            ),
            (
                &["sh", "-ec", "TOKEN=abc exec app"],
                &["sh", "-ec", "TOKEN=[redacted] exec app"],
            ),
            (&["aws", "AKIAIOSFODNN7EXAMPLE"], &["aws", "[redacted]"]),
            (
                &["app", "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"],
                &["app", "[redacted]"],
            ),
            (
                &["app", "0123456789abcdef0123456789abcdef"],
                &["app", "[redacted]"],
            ),
            (
                &["app", "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.c2ln"],
                &["app", "[redacted]"],
            ),
            (
                &["git", "https://ghp_0123456789abcdefABCD@github.com/x"],
                &["git", "https://[redacted]@github.com/x"],
            ),
        ];
        for (command, expected) in cases {
            assert_eq!(line(command), *expected, "{command:?}");
        }
    }

    #[test]
    fn leaves_what_is_no_secret() {
        let cases: &[&[&str]] = &[
            &["app", "--password-file", "/x", "--port", "80"],
            &["app", "--password-file=/run/secrets/x"],
            &[
                "app",
                "--token-url=http://x/token",
                "--max-tokens",
                "100",
                "--tokenizer",
                "bpe",
            ],
            &["app", "--no-password", "db"],
            &[
                "app",
                "PWD=/srv",
                "KEYBOARD=us",
                "--bypass",
                "x",
                "--compass=n",
            ],
            &["ssh", "-p", "22", "host"],
            &["nginx", "-p", "/srv", "-g", "daemon off;"],
            &["psql", "-p5433", "-U", "bob"],
            &["redis-server", "*:6379"],
            &[
                "postgres",
                "-c",
                "config_file=/etc/postgresql/15/main/postgresql.conf",
            ],
            &["nginx: master process /usr/sbin/nginx -g daemon on; master_process on;"],
            &["uvicorn", "main:app", "--host", "0.0.0.0", "--port", "8000"],
            &[
                "app",
                "https://user@host/path",
                "http://host:80/@scope/package",
                "http://[::1]:80/",
            ],
            &[
                "app",
                "image@sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef",
            ],
            &[
                "runc",
                "/var/lib/docker/overlay2/0123456789abcdef0123456789abcdef0123456789abcdef/merged",
            ],
            &[
                "java",
                "-XX:+UseStringDeduplicationAndManyMoreWordsHere",
                "org.apache.catalina.startup.Bootstrap",
            ],
            &["app", "550e8400-e29b-41d4-a716-446655440000"],
            &[
                "app",
                "--private-key=/etc/ssl/key.pem",
                "--key",
                "/etc/ssl/key.pem",
            ],
        ];
        for command in cases {
            assert_eq!(line(command), *command);
        }
    }

    #[test]
    fn what_is_hidden_stays_as_it_is() {
        for text in [
            "TOKEN=[redacted] exec app",
            "x?token=[redacted]&n=1",
            "(password=[redacted])",
            "app --password=[redacted]||| x",
        ] {
            assert_eq!(redact_text(text), text);
        }
        assert_eq!(redact_text("TOKEN=[redacted]abc"), "TOKEN=[redacted]");
    }

    #[test]
    fn reads_log_lines() {
        for (text, expected) in [
            (
                "password: hunter2 rejected",
                "password: [redacted] rejected",
            ),
            (
                "  db_password = 'hun ter2', user = 'bob'",
                "  db_password = '[redacted]', user = 'bob'",
            ),
            (
                r#"{"user":"bob","password":"hun\"ter2","n":1}"#,
                r#"{"user":"bob","password":"[redacted]","n":1}"#,
            ),
            (
                "GET /x?token=abc123&n=1 200",
                "GET /x?token=[redacted]&n=1 200",
            ),
            (
                "Authorization: Basic Ym9iOnMzY3JldA==",
                "Authorization: Basic [redacted]",
            ),
            (
                "sent bearer abcdef123456 to x",
                "sent bearer [redacted] to x",
            ),
            ("Cookie: session=abc; other=def", "Cookie: [redacted]"),
            (
                "ALTER USER bob WITH PASSWORD 'hun ter2';",
                "ALTER USER bob WITH PASSWORD '[redacted]';",
            ),
            (
                "CREATE USER bob IDENTIFIED BY 'x1'",
                "CREATE USER bob IDENTIFIED BY '[redacted]'",
            ),
            (
                "-----BEGIN RSA PRIVATE KEY-----\nMIIE\n-----END RSA PRIVATE KEY-----\nok",
                "[redacted]\nok",
            ),
            ("-----BEGIN PRIVATE KEY----- MIIE", "[redacted]"),
            (
                "password authentication failed for user \"bob\"",
                "password authentication failed for user \"bob\"",
            ),
            (
                "SyntaxError: Unexpected token: }",
                "SyntaxError: Unexpected token: }",
            ),
            ("token=null password=", "token=null password="),
            (
                "2026-01-31T08:00:00Z  GET  /health\t200\n",
                "2026-01-31T08:00:00Z  GET  /health\t200\n",
            ),
            (
                "it's 5 o'clock, don't \"panic",
                "it's 5 o'clock, don't \"panic",
            ),
        ] {
            assert_eq!(redact_text(text), expected);
        }
    }

    #[test]
    fn deep_nesting_and_long_lines_end() {
        let deep = "sh -c \"x ".repeat(2000) + "--password hunter2";
        assert!(!redact_text(&deep).contains("hunter2"));
        let nested = r#"sh -c "sh -c \"sh -c \\\"app --password hunter2\\\"\"""#;
        assert!(!redact_text(nested).contains("hunter2"));
        for part in [
            "a=",
            "a/",
            "a:",
            "a://",
            "token=null,",
            "x@tcp(",
            "-----BEGIN ",
            "password 'x",
        ] {
            let long = part.repeat(4000);
            assert!(redact_text(&long).len() <= long.len() * 4, "{part}");
        }
        let quotes = "'\"".repeat(5000);
        assert_eq!(redact_text(&quotes).len(), quotes.len());
    }

    proptest! {
        #[test]
        fn nothing_makes_it_panic(text in any::<String>(), argv in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..40), 0..6)) {
            let _ = redact_text(&text);
            prop_assert_eq!(redact(&argv).len(), argv.len());
        }

        #[test]
        fn nor_does_what_looks_like_a_secret(text in "[-=:@/'\" \\\\a-c]{0,12}(password|token|Authorization|://|-p|eyJ|AKIA|Bearer |mysql |-----BEGIN PRIVATE KEY)[-=:@/'\" \\\\é]{0,12}") {
            let _ = redact_text(&text);
            let _ = redact(&[b"mysql".to_vec(), text.into_bytes()]);
        }

        #[test]
        fn a_secret_survives_in_no_known_shape(secret in "[A-Za-z][A-Za-z0-9]{4,20}[0-9]{2}", shape in 0usize..24) {
            let s = secret.as_str();
            let texts = [
                format!("app --password {s} --port 80"),
                format!("app --password={s}"),
                format!("app --db.password='{s}'"),
                format!("redis-server --requirepass {s}"),
                format!("mysql -h db -p{s} x"),
                format!("mariadb-dump --all -p'{s}'"),
                format!("PGPASSWORD={s} psql"),
                format!("export API_KEY=\"{s}\""),
                format!("app --token {s}"),
                format!("app --client-secret={s} x"),
                format!("curl -H 'Authorization: Bearer {s}' http://x"),
                format!("curl -H \"X-Auth-Token: {s}\""),
                format!("curl -u bob:{s} x"),
                format!("redis://:{s}@host:6379/0"),
                format!("broker=amqps://bob:{s}@host/x ok"),
                format!("sshpass -p {s} ssh host"),
                format!("redis-cli -a {s} ping"),
                format!("https://x/y?access_token={s}&b=c"),
                format!("{{'password': '{s}'}}"),
                format!("AccountKey={s};Endpoint=x"),
                format!("sh -c 'exec app --secret {s}'"),
                format!("IDENTIFIED BY '{s}'"),
                format!("(mysql -p{s}; true)"),
                format!("password : {s}"),
            ];
            let text = &texts[shape % texts.len()];
            prop_assert!(!redact_text(text).contains(s), "{}", redact_text(text));
            let argv: Vec<Vec<u8>> = vec![b"sh".to_vec(), b"-c".to_vec(), text.clone().into_bytes()];
            prop_assert!(!redact(&argv)[2].as_raw().contains(s));
            if !text.contains(['\'', '"', '(']) {
                let argv: Vec<Vec<u8>> = text.split(' ').map(|one| one.as_bytes().to_vec()).collect();
                prop_assert!(redact(&argv).iter().all(|one| !one.as_raw().contains(s)) || text.starts_with("password :"));
            }
        }
    }
}
