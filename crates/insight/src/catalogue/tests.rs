//! One process of each kind as it looks, and what only looks like one.
//!
//! A command line has bars between its arguments. What the program loads, by discovery's finding, stands before it
//! with an at sign. Lines with options were seen on Debian 12 or in the product's own image; bare ones are the
//! package's executable.

use std::collections::BTreeSet;

use super::*;
use crate::recognise::recognise;
use crate::scene::Scene;

#[rustfmt::skip]
const FIXTURES: &[(&str, &str, &str)] = &[
    // web.rs
    ("openresty", "/usr/local/openresty/nginx/sbin/nginx", "nginx: master process /usr/local/openresty/bin/openresty -g daemon off;"),
    ("nginx", "/usr/sbin/nginx", "nginx: master process nginx -g daemon off;"),
    ("apache", "/usr/sbin/apache2", "apache2|-D|FOREGROUND"),
    ("lighttpd", "/usr/sbin/lighttpd", "lighttpd|-D|-f|/etc/lighttpd/lighttpd.conf"),
    ("h2o", "/usr/bin/h2o", "h2o|-c|/etc/h2o/h2o.conf"),
    ("caddy", "/usr/bin/caddy", "caddy|run|--config|/etc/caddy/Caddyfile"),
    ("busybox-httpd", "/bin/busybox", "httpd|-f|-p|80"),
    ("thttpd", "/usr/sbin/mini_httpd", "/usr/sbin/mini_httpd|-C|/etc/mini-httpd.conf"),
    ("webfs", "/usr/bin/webfsd", "webfsd"),
    ("http.server", "/usr/bin/python3.11", "python3|-m|http.server|8080|--directory|/var/www/html"),
    ("webrick", "/usr/bin/ruby3.1", "ruby|-run|-e|httpd|.|-p|8080"),
    ("php", "/usr/bin/php8.2", "php|-S|0.0.0.0:8000|-t|public"),
    // proxies.rs
    ("haproxy", "/usr/sbin/haproxy", "haproxy|-W|-db|-f|/etc/haproxy/haproxy.cfg"),
    ("traefik", "/usr/local/bin/traefik", "traefik|--providers.docker"),
    ("envoy", "/usr/local/bin/envoy", "envoy|-c|/etc/envoy/envoy.yaml"),
    ("varnish", "/usr/sbin/varnishd", "varnishd|-F|-a|:6081|-f|/etc/varnish/default.vcl|-s|malloc,64m|-T|none"),
    ("squid", "/usr/sbin/squid", "squid|--foreground|-f|/etc/squid/squid.conf"),
    ("trafficserver", "/usr/bin/traffic_server", "traffic_server"),
    ("nghttpx", "/usr/bin/nghttpx", "nghttpx"),
    ("tinyproxy", "/usr/bin/tinyproxy", "tinyproxy"),
    ("privoxy", "/usr/bin/privoxy", "privoxy"),
    ("pound", "/usr/sbin/pound", "pound"),
    ("hitch", "/usr/bin/hitch", "hitch"),
    ("stunnel", "/usr/bin/stunnel4", "stunnel4|/etc/stunnel/stunnel.conf"),
    ("sslh", "/usr/sbin/sslh-select", "sslh-select|--foreground"),
    ("oauth2-proxy", "/usr/bin/oauth2-proxy", "oauth2-proxy"),
    ("socat", "/usr/bin/socat1", "socat|TCP-LISTEN:80,fork|TCP:web:80"),
    ("shadowsocks", "/usr/bin/ss-server", "ss-server|-s|0.0.0.0|-p|8388"),
    ("websockify", "/usr/bin/python3.11", "/usr/bin/python3|/usr/bin/websockify|0.0.0.0:6080|127.0.0.1:5900"),
    ("twemproxy", "/usr/sbin/nutcracker", "nutcracker|-c|/etc/nutcracker/nutcracker.yml"),
    ("tor", "/usr/bin/tor", "tor"),
    ("dante", "/usr/bin/danted", "danted"),
    // applications.rs
    ("gunicorn", "/usr/bin/python3.11", "/usr/bin/python3|/usr/bin/gunicorn|-w|2|-b|0.0.0.0:8000|shop:app"),
    ("uvicorn", "/usr/local/bin/python3.12", "/usr/local/bin/python3.12|/usr/local/bin/uvicorn|main:app|--port|8000"),
    ("hypercorn", "/usr/bin/python3.11", "/usr/bin/python3|/usr/bin/hypercorn|main:app"),
    ("daphne", "/usr/bin/python3.11", "/usr/bin/python3|/usr/bin/daphne|shop.asgi:application"),
    ("granian", "/usr/bin/python3.11", "/srv/venv/bin/python|/srv/venv/bin/granian|--interface|asgi|main:app"),
    ("waitress", "/usr/bin/python3.11", "/usr/bin/python3|/usr/bin/waitress-serve|--port=8080|shop:app"),
    ("uwsgi", "/usr/bin/uwsgi-core", "uwsgi|--http-socket|:8000|--plugin|python3|--module|shop:app"),
    ("puma", "/usr/bin/ruby3.1", "puma 5.6.5 (tcp://0.0.0.0:9292) [/]||||"),
    ("unicorn", "/usr/bin/ruby3.1", "unicorn master -c /srv/unicorn.rb||"),
    ("thin", "/usr/bin/ruby3.1", "thin server (0.0.0.0:3000)|"),
    ("rackup", "/usr/local/bin/ruby", "ruby|/usr/local/bundle/bin/rackup|-o|0.0.0.0"),
    ("passenger", "/usr/lib/passenger/support-binaries/PassengerAgent", "Passenger core"),
    ("php-fpm", "/usr/sbin/php-fpm8.2", "php-fpm: master process (/etc/php/8.2/fpm/php-fpm.conf)"),
    ("fcgiwrap", "/usr/sbin/fcgiwrap", "fcgiwrap|-s|unix:/run/fcgiwrap.socket"),
    ("frankenphp", "/usr/bin/frankenphp", "frankenphp"),
    ("laravel", "/usr/local/bin/php", "php|artisan|serve|--host=0.0.0.0"),
    ("starman", "/usr/bin/perl", "starman master --port 5000"),
    ("tomcat", "/usr/lib/jvm/java-17-openjdk-amd64/bin/java", "/usr/lib/jvm/default-java/bin/java|-Djava.util.logging.config.file=/var/lib/tomcat10/conf/logging.properties|-Djava.awt.headless=true|--add-opens=java.base/java.lang=ALL-UNNAMED|-classpath|/usr/share/tomcat10/bin/bootstrap.jar:/usr/share/tomcat10/bin/tomcat-juli.jar|-Dcatalina.base=/var/lib/tomcat10|org.apache.catalina.startup.Bootstrap|start"),
    ("jetty", "/usr/lib/jvm/java-17-openjdk-amd64/bin/java", "java|-Djetty.home=/usr/share/jetty9|-Djetty.base=/usr/share/jetty9|-jar|/usr/share/jetty9/start.jar"),
    ("wildfly", "/usr/lib/jvm/java-17-openjdk-amd64/bin/java", "java|-D[Standalone]|-Djboss.home.dir=/opt/wildfly|-jar|/opt/wildfly/jboss-modules.jar|-mp|/opt/wildfly/modules|org.jboss.as.standalone"),
    ("node", "/usr/bin/node", "node|server.js"),
    ("deno", "/usr/bin/deno", "deno"),
    ("bun", "/usr/bin/bun", "bun"),
    ("dotnet", "/usr/share/dotnet/dotnet", "dotnet|Shop.dll"),
    ("pm2", "/usr/bin/node", "PM2 v5.3.0: God Daemon (/root/.pm2)"),
    // frameworks.rs
    ("fastapi", "/usr/bin/python3.11", "@fastapi|/usr/bin/python3|/usr/bin/uvicorn|--app-dir|/srv/app|--host|0.0.0.0|--port|8000|main:app"),
    ("django", "/usr/bin/python3.11", "@django|/usr/bin/python3|/usr/bin/gunicorn|--chdir|/srv/app|-w|2|-b|0.0.0.0:8000|shop.wsgi"),
    ("flask", "/usr/bin/python3.11", "/usr/bin/python3|-m|flask|run"),
    ("litestar", "/usr/bin/python3.11", "@litestar|python3|app.py"),
    ("quart", "/usr/bin/python3.11", "@quart|python3|app.py"),
    ("sanic", "/usr/bin/python3.11", "@sanic|python3|app.py"),
    ("aiohttp", "/usr/bin/python3.11", "@aiohttp|python3|app.py"),
    ("tornado", "/usr/bin/python3.11", "@tornado|python3|app.py"),
    ("falcon", "/usr/bin/python3.11", "@falcon|python3|app.py"),
    ("bottle", "/usr/bin/python3.11", "@bottle|python3|app.py"),
    ("pyramid", "/usr/bin/python3.11", "/usr/bin/python3|/usr/bin/pserve|production.ini"),
    ("cherrypy", "/usr/bin/python3.11", "@cherrypy|python3|app.py"),
    ("starlette", "/usr/bin/python3.11", "@starlette|python3|app.py"),
    ("next", "/usr/local/bin/node", "next-server (v14.1.0)|"),
    ("nestjs", "/usr/bin/node", "@nestjs|node|dist/main.js"),
    ("express", "/usr/bin/node", "@express|node|server.js"),
    ("fastify", "/usr/bin/node", "@fastify|node|dist/main.js"),
    ("koa", "/usr/bin/node", "@koa|node|dist/main.js"),
    ("hapi", "/usr/bin/node", "@hapi|node|dist/main.js"),
    ("hono", "/usr/bin/node", "@hono|node|dist/main.js"),
    ("rails", "/usr/bin/ruby3.1", "@rails|puma 5.6.5 (tcp://0.0.0.0:3000) [shop]|"),
    ("sinatra", "/usr/bin/ruby3.1", "@sinatra|ruby|app.rb"),
    ("spring", "/usr/lib/jvm/java-17-openjdk-amd64/bin/java", "@spring|java|-Xmx256m|-jar|/app/shop.jar"),
    ("quarkus", "/usr/bin/java", "java|-jar|/deployments/quarkus-run.jar"),
    ("jupyter", "/usr/bin/python3.11", "/opt/conda/bin/python3.11|/opt/conda/bin/jupyter-lab|--ip=0.0.0.0"),
    ("streamlit", "/usr/bin/python3.11", "/usr/bin/python3|/usr/local/bin/streamlit"),
    ("ollama", "/usr/bin/ollama", "ollama"),
    // databases.rs
    ("postgresql", "/usr/lib/postgresql/15/bin/postgres", "/usr/lib/postgresql/15/bin/postgres|-D|/var/lib/postgresql/15/main"),
    ("mariadb", "/usr/sbin/mariadbd", "mariadbd|--user=mysql|--bind-address=0.0.0.0"),
    ("mysql", "/usr/sbin/mysqld", "mysqld"),
    ("cockroachdb", "/usr/bin/cockroach", "cockroach"),
    ("mongodb", "/usr/bin/mongod", "mongod"),
    ("couchdb", "/opt/couchdb/erts-12.3.2.14/bin/beam.smp", "/opt/couchdb/bin/../erts-12.3.2.14/bin/beam.smp|-K|true|-A|16|-Bd|--|-root|/opt/couchdb/bin/..|-progname|couchdb|--|-home|/opt/couchdb|--|-boot|/opt/couchdb/releases/3.3.3/couchdb"),
    ("cassandra", "/opt/java/openjdk/bin/java", "/opt/java/openjdk/bin/java|-ea|-da:net.openhft...|-Dcassandra.logdir=/opt/cassandra/logs|-Dcassandra-foreground=yes|-cp|/opt/cassandra/conf:…"),
    ("scylladb", "/usr/bin/scylla", "scylla"),
    ("clickhouse", "/usr/bin/clickhouse", "clickhouse"),
    ("influxdb", "/usr/bin/influxd", "influxd"),
    ("victoriametrics", "/usr/bin/victoria-metrics", "victoria-metrics"),
    ("neo4j", "/usr/bin/java", "java|-cp|/neo4j/plugins/*:/neo4j/lib/*|--module-path|x|com.neo4j.server.enterprise.EnterpriseEntryPoint|--home-dir=/neo4j"),
    ("arangodb", "/usr/bin/arangod", "arangod"),
    ("firebird", "/usr/bin/firebird", "firebird"),
    ("mssql", "/usr/bin/sqlservr", "sqlservr"),
    ("pgbouncer", "/usr/sbin/pgbouncer", "/usr/sbin/pgbouncer|/etc/pgbouncer/pgbouncer.ini"),
    ("pgpool", "/usr/bin/pgpool", "pgpool"),
    ("proxysql", "/usr/bin/proxysql", "proxysql"),
    ("patroni", "/usr/bin/python3.11", "/usr/bin/python3|/usr/bin/patroni|/etc/patroni.yml"),
    // caches.rs
    ("redis", "/usr/bin/redis-check-rdb", "redis-server *:6379|||||"),
    ("valkey", "/usr/local/bin/valkey-server", "valkey-server *:6379|||"),
    ("redis-sentinel", "/usr/bin/redis-check-rdb", "redis-sentinel *:26379 [sentinel]||"),
    ("keydb", "/usr/bin/keydb-server", "keydb-server"),
    ("memcached", "/usr/bin/memcached", "memcached|-u|memcache|-l|0.0.0.0|-m|64"),
    // search.rs
    ("elasticsearch", "/usr/share/elasticsearch/jdk/bin/java", "/usr/share/elasticsearch/jdk/bin/java|-Des.networkaddress.cache.ttl=60|-Xms1g|-Des.distribution.type=docker|--module-path|/usr/share/elasticsearch/lib|--add-modules=jdk.net|-m|org.elasticsearch.server/org.elasticsearch.bootstrap.Elasticsearch"),
    ("opensearch", "/usr/share/opensearch/jdk/bin/java", "/usr/share/opensearch/jdk/bin/java|-Xms1g|-Dopensearch.path.home=/usr/share/opensearch|-cp|/usr/share/opensearch/lib/*|org.opensearch.bootstrap.OpenSearch"),
    ("solr", "/usr/bin/java", "java|-server|-Xms512m|-Dsolr.log.dir=/var/solr/logs|-Djetty.port=8983|-Dsolr.solr.home=/var/solr/data|-jar|start.jar|--module=http"),
    ("meilisearch", "/usr/bin/meilisearch", "meilisearch"),
    ("typesense", "/usr/bin/typesense-server", "typesense-server"),
    ("manticore", "/usr/bin/searchd", "searchd"),
    ("qdrant", "/usr/bin/qdrant", "qdrant"),
    ("weaviate", "/usr/bin/weaviate", "weaviate"),
    ("chroma", "/usr/bin/python3.11", "/usr/bin/python3|/usr/local/bin/chroma|run"),
    // queues.rs
    ("rabbitmq", "/usr/lib/erlang/erts-13.1.5/bin/beam.smp", "/usr/lib/erlang/erts-13.1.5/bin/beam.smp|-W|w|-MBas|ageffcbf|-stbt|db|-zdbbl|128000|-B|i|--|-root|/usr/lib/erlang|-bindir|/usr/lib/erlang/erts-13.1.5/bin|-progname|erl|--|-home|/var/lib/rabbitmq|--|-pa||-noshell|-noinput|-s|rabbit|boot|-boot|start_sasl"),
    ("mosquitto", "/usr/sbin/mosquitto", "mosquitto|-c|/etc/mosquitto/mosquitto.conf"),
    ("emqx", "/opt/emqx/erts-13.2.2.4/bin/beam.smp", "/opt/emqx/erts-13.2.2.4/bin/beam.smp|-spp|true|--|-root|/opt/emqx|-progname|erts-13.2.2.4/bin/emqx|--|-home|/opt/emqx"),
    ("nats", "/usr/sbin/nats-server", "nats-server|-c|/etc/nats.conf"),
    ("kafka", "/opt/java/openjdk/bin/java", "java|-Xmx1G|-server|-XX:+UseG1GC|-Dkafka.logs.dir=/opt/kafka/logs|-Dlog4j.configuration=file:x|-cp|/opt/kafka/libs/activation-1.1.1.jar:…"),
    ("redpanda", "/usr/bin/redpanda", "redpanda"),
    ("pulsar", "/usr/bin/java", "java|-cp|x|org.apache.pulsar.PulsarStandaloneStarter|--config|conf/standalone.conf"),
    ("activemq", "/usr/bin/java", "java|-Xms64M|-Dactivemq.home=/opt/activemq|-jar|/opt/activemq/bin/activemq.jar|start"),
    ("nsq", "/usr/bin/nsqd", "nsqd"),
    ("beanstalkd", "/usr/bin/beanstalkd", "beanstalkd"),
    ("gearman", "/usr/bin/gearmand", "gearmand"),
    // workers.rs
    ("celery", "/usr/bin/python3.11", "python3|/usr/bin/celery|-A|tasks|worker|-c|2"),
    ("celery-beat", "/usr/bin/python3.11", "/usr/bin/python3|/usr/bin/celery|-A|tasks|beat"),
    ("flower", "/usr/bin/python3.11", "/usr/bin/python3|/usr/bin/celery|-A|tasks|flower"),
    ("rq", "/usr/bin/python3.11", "/usr/bin/python3|/usr/bin/rq|worker|default"),
    ("dramatiq", "/usr/bin/python3.11", "/usr/bin/python3|/usr/local/bin/dramatiq|tasks"),
    ("huey", "/usr/bin/python3.11", "/usr/bin/python3|/usr/local/bin/huey_consumer.py|tasks.huey"),
    ("sidekiq", "/usr/bin/ruby3.1", "sidekiq 6.4.1 app [0 of 10 busy]||"),
    ("resque", "/usr/bin/ruby3.1", "resque-2.2.1: Waiting for default|"),
    ("delayed_job", "/usr/bin/ruby3.1", "ruby|bin/delayed_job|run"),
    ("solid_queue", "/usr/bin/ruby3.1", "solid-queue-supervisor(1.0.0): supervising 12, 13|"),
    ("laravel-queue", "/usr/local/bin/php", "php|artisan|queue:work|--tries=3"),
    ("horizon", "/usr/local/bin/php", "php|/app/artisan|horizon"),
    ("laravel-schedule", "/usr/local/bin/php", "php|artisan|schedule:work"),
    ("messenger", "/usr/local/bin/php", "php|bin/console|messenger:consume|async"),
    ("temporal-worker", "/usr/local/bin/temporal-server", "temporal-server|start"),
    ("airflow-worker", "/usr/bin/python3.11", "/usr/local/bin/python|/home/airflow/.local/bin/airflow|celery|worker"),
    ("airflow-scheduler", "/usr/bin/python3.11", "/usr/local/bin/python|/home/airflow/.local/bin/airflow|scheduler"),
    ("airflow", "/usr/bin/python3.11", "/usr/local/bin/python|/home/airflow/.local/bin/airflow|webserver"),
    ("cron", "/usr/sbin/cron", "cron|-f"),
    ("supercronic", "/usr/bin/supercronic", "supercronic"),
    ("atd", "/usr/sbin/atd", "atd"),
    // mail.rs
    ("postfix", "/usr/lib/postfix/sbin/master", "/usr/lib/postfix/sbin/master|-w"),
    ("exim", "/usr/sbin/exim4", "/usr/sbin/exim4|-bd|-q30m"),
    ("opensmtpd", "/usr/sbin/smtpd", "smtpd"),
    ("sendmail", "/usr/bin/sendmail-mta", "sendmail-mta"),
    ("mailpit", "/usr/bin/mailpit", "mailpit"),
    ("dovecot", "/usr/bin/dovecot", "dovecot"),
    ("cyrus", "/usr/lib/cyrus/bin/master", "/usr/lib/cyrus/bin/master|-C|/etc/imapd.conf"),
    ("courier", "/usr/bin/couriertcpd", "couriertcpd"),
    ("rspamd", "/usr/bin/rspamd", "rspamd"),
    ("spamassassin", "/usr/bin/perl", "/usr/bin/perl|-T|-w|/usr/sbin/spamd|--create-prefs"),
    ("amavis", "/usr/bin/perl", "/usr/bin/perl|-T|/usr/sbin/amavisd-new|foreground"),
    ("clamav", "/usr/bin/clamd", "clamd"),
    ("opendkim", "/usr/bin/opendkim", "opendkim"),
    ("opendmarc", "/usr/bin/opendmarc", "opendmarc"),
    // network.rs
    ("bind", "/usr/sbin/named", "named|-f|-u|bind"),
    ("unbound", "/usr/bin/unbound", "unbound"),
    ("dnsmasq", "/usr/bin/dnsmasq", "dnsmasq"),
    ("coredns", "/usr/bin/coredns", "coredns"),
    ("powerdns", "/usr/bin/pdns_server", "pdns_server"),
    ("pdns-recursor", "/usr/bin/pdns_recursor", "pdns_recursor"),
    ("dnsdist", "/usr/bin/dnsdist", "dnsdist"),
    ("knot", "/usr/bin/knotd", "knotd"),
    ("knot-resolver", "/usr/bin/kresd", "kresd"),
    ("nsd", "/usr/bin/nsd", "nsd"),
    ("pihole", "/usr/bin/pihole-FTL", "pihole-FTL"),
    ("openldap", "/usr/bin/slapd", "slapd"),
    ("openssh", "/usr/sbin/sshd", "sshd: /usr/sbin/sshd -D [listener] 0 of 10-100 startups"),
    ("dropbear", "/usr/sbin/dropbear", "/usr/sbin/dropbear|-F|-E"),
    ("kerberos", "/usr/bin/krb5kdc", "krb5kdc"),
    ("kadmind", "/usr/bin/kadmind", "kadmind"),
    ("freeradius", "/usr/bin/freeradius", "freeradius"),
    ("openvpn", "/usr/bin/openvpn", "openvpn"),
    ("strongswan", "/usr/bin/charon", "charon"),
    ("coturn", "/usr/bin/turnserver", "turnserver"),
    ("chrony", "/usr/bin/chronyd", "chronyd"),
    ("ntp", "/usr/bin/ntpd", "ntpd"),
    ("dhcpd", "/usr/bin/dhcpd", "dhcpd"),
    ("asterisk", "/usr/bin/asterisk", "asterisk"),
    ("kamailio", "/usr/sbin/kamailio", "kamailio|-DD|-E"),
    ("ejabberd", "/usr/lib/erlang/erts-13.1.5/bin/beam.smp", "/usr/lib/erlang/erts-13.1.5/bin/beam.smp|-K|true|--|-root|/usr/lib/erlang|-progname|erl|--|-home|/var/lib/ejabberd|--|-sname|ejabberd@localhost|-noinput|-s|ejabberd"),
    ("prosody", "/usr/bin/lua5.4", "lua5.4|/usr/bin/prosody|-F"),
    ("irc", "/usr/bin/inspircd", "inspircd"),
    // storage.rs
    ("vsftpd", "/usr/sbin/vsftpd", "vsftpd|/etc/vsftpd.conf"),
    ("proftpd", "/usr/bin/proftpd", "proftpd"),
    ("pure-ftpd", "/usr/bin/pure-ftpd", "pure-ftpd"),
    ("samba", "/usr/bin/smbd", "smbd"),
    ("nmbd", "/usr/bin/nmbd", "nmbd"),
    ("nfs", "/usr/bin/rpc.mountd", "rpc.mountd"),
    ("rpcbind", "/usr/bin/rpcbind", "rpcbind"),
    ("rsync", "/usr/bin/rsync", "rsync"),
    ("tftp", "/usr/bin/in.tftpd", "in.tftpd"),
    ("minio", "/usr/bin/minio", "minio|server|/data"),
    ("ceph", "/usr/bin/ceph-osd", "ceph-osd"),
    ("glusterfs", "/usr/bin/glusterd", "glusterd"),
    ("registry", "/bin/registry", "registry|serve|/etc/docker/registry/config.yml"),
    // monitoring.rs
    ("prometheus", "/usr/bin/prometheus", "prometheus|--config.file=/etc/prometheus/prometheus.yml"),
    ("alertmanager", "/usr/bin/prometheus-alertmanager", "prometheus-alertmanager"),
    ("pushgateway", "/usr/bin/prometheus-pushgateway", "prometheus-pushgateway"),
    ("exporter", "/usr/bin/prometheus-node-exporter", "prometheus-node-exporter"),
    ("grafana", "/usr/share/grafana/bin/grafana", "grafana|server|--homepath=/usr/share/grafana"),
    ("loki", "/usr/bin/loki", "loki"),
    ("jaeger", "/usr/bin/jaeger", "jaeger"),
    ("otel-collector", "/usr/bin/otelcol", "otelcol"),
    ("telegraf", "/usr/bin/telegraf", "telegraf"),
    ("collectd", "/usr/sbin/collectd", "collectd|-f"),
    ("netdata", "/usr/bin/netdata", "netdata"),
    ("zabbix-server", "/usr/bin/zabbix_server", "zabbix_server"),
    ("zabbix-agent", "/usr/bin/zabbix_agentd", "zabbix_agentd"),
    ("icinga", "/usr/bin/icinga2", "icinga2"),
    ("munin", "/usr/bin/perl", "/usr/bin/perl|-wT|/usr/sbin/munin-node"),
    ("snmpd", "/usr/bin/snmpd", "snmpd"),
    ("graphite", "/usr/bin/python3.11", "/usr/bin/python3|/usr/bin/carbon-cache|start"),
    ("monit", "/usr/bin/monit", "monit"),
    ("rsyslog", "/usr/sbin/rsyslogd", "rsyslogd"),
    ("syslog-ng", "/usr/sbin/syslog-ng", "syslog-ng"),
    ("logstash", "/usr/bin/java", "java|-Xms1g|-cp|x|org.logstash.Logstash"),
    ("fluentd", "/usr/bin/ruby3.1", "/usr/bin/ruby|/usr/local/bundle/bin/fluentd|-c|/fluentd/etc/fluent.conf"),
    ("fluent-bit", "/usr/bin/fluent-bit", "fluent-bit"),
    ("vector", "/usr/bin/vector", "vector"),
    // infrastructure.rs
    ("etcd", "/usr/bin/etcd", "etcd|--config-file|/etc/etcd.yml"),
    ("zookeeper", "/usr/bin/java", "java|-cp|/etc/zookeeper/conf:/usr/share/java/zookeeper.jar|-Dzookeeper.log.dir=/var/log/zookeeper|org.apache.zookeeper.server.quorum.QuorumPeerMain|/etc/zookeeper/conf/zoo.cfg"),
    ("consul", "/bin/consul", "consul|agent|-dev"),
    ("nomad", "/usr/bin/nomad", "nomad"),
    ("epmd", "/usr/lib/erlang/erts-13.1.5/bin/epmd", "/usr/lib/erlang/erts-13.1.5/bin/epmd|-daemon"),
    ("dbus", "/usr/bin/dbus-daemon", "dbus-daemon"),
    ("docker", "/usr/bin/dockerd", "dockerd"),
    ("containerd", "/usr/bin/containerd", "containerd"),
    ("kubernetes", "/usr/bin/kube-apiserver", "kube-apiserver"),
    ("vault", "/usr/bin/vault", "vault"),
    ("keycloak", "/usr/bin/java", "java|-Dkc.home.dir=/opt/keycloak|-cp|x|io.quarkus.bootstrap.runner.QuarkusEntryPoint|start"),
    ("fail2ban", "/usr/bin/python3.11", "/usr/bin/python3|/usr/bin/fail2ban-server|-xf|start"),
    ("jenkins", "/opt/java/openjdk/bin/java", "java|-Duser.home=/var/jenkins_home|-jar|/usr/share/jenkins/jenkins.war"),
    ("gitea", "/usr/bin/gitea", "gitea"),
    ("n8n", "/usr/local/bin/node", "node|/usr/local/bin/n8n"),
    ("node-red", "/usr/local/bin/node", "node-red||"),
    ("icecast", "/usr/bin/icecast", "icecast"),
    ("transmission", "/usr/bin/transmission-daemon", "transmission-daemon"),
    ("cups", "/usr/sbin/cupsd", "cupsd|-f"),
    ("minidlna", "/usr/sbin/minidlnad", "minidlnad"),
    ("mpd", "/usr/bin/mpd", "mpd|--no-daemon"),
    ("radicale", "/usr/bin/python3.11", "/usr/bin/python3|/usr/bin/radicale|--hosts|0.0.0.0:5232"),
    ("apt-cacher-ng", "/usr/sbin/apt-cacher-ng", "apt-cacher-ng"),
    ("distcc", "/usr/bin/distccd", "distccd"),
    ("tarantool", "/usr/bin/tarantool", "tarantool"),
    ("iperf", "/usr/bin/iperf3", "iperf3|-s"),
    // also of storage.rs and network.rs
    ("syncthing", "/usr/bin/syncthing", "syncthing|serve|--no-browser"),
    ("nbd", "/usr/bin/nbd-server", "nbd-server"),
    ("git-daemon", "/usr/lib/git-core/git-daemon", "git-daemon"),
    ("subversion", "/usr/bin/svnserve", "svnserve|--daemon|--foreground|--root|/srv/svn"),
    ("aria2", "/usr/bin/aria2c", "aria2c"),
    ("mumble", "/usr/sbin/murmurd", "murmurd|-fg|-ini|/etc/mumble-server.ini"),
    ("znc", "/usr/bin/znc", "znc"),
    ("xrdp", "/usr/sbin/xrdp", "xrdp"),
    ("vnc", "/usr/bin/Xtigervnc", "Xtigervnc"),
    ("avahi", "/usr/sbin/avahi-daemon", "avahi-daemon: running [host.local]"),
    // supervisors.rs
    ("supervisord", "/usr/bin/python3.11", "/usr/bin/python3|/usr/bin/supervisord|-n|-c|/etc/supervisor/supervisord.conf"),
    ("circus", "/usr/bin/python3.11", "/usr/bin/python3|/usr/bin/circusd|circus.ini"),
    ("honcho", "/usr/bin/python3.11", "/usr/bin/python3|/usr/bin/honcho|start"),
    ("systemd", "/usr/lib/systemd/systemd", "/sbin/init"),
    ("s6", "/usr/bin/s6-svscan", "s6-svscan"),
    ("runit", "/usr/bin/runit", "runit"),
    ("daemontools", "/usr/bin/svscan", "svscan"),
    ("inetd", "/usr/bin/inetd", "inetd"),
    ("init", "/usr/bin/diogenes-agent", "diogenes-agent"),
];

/// Not what they are called, whatever they listen on.
#[rustfmt::skip]
const NEAR_MISSES: &[(&str, &str)] = &[
    // Scripts with a server's name.
    ("/usr/bin/dash", "/bin/sh|/usr/local/bin/nginx|-g|daemon off;"),
    ("/usr/bin/python3.11", "/usr/bin/python3|/usr/local/bin/nginx|-g|daemon off;"),
    ("/usr/bin/python3.11", "/usr/bin/python3|/usr/local/bin/redis-server|*:6379"),
    ("/usr/bin/python3.11", "python3|/srv/celery|worker"),
    ("/usr/bin/python3.11", "python3|/home/me/gunicorn|a:b"),
    ("/usr/bin/dash", "/bin/sh|/usr/bin/uvicorn|main:app"),
    ("/usr/bin/perl", "perl|/usr/bin/uvicorn|main:app"),
    // A server's name among the arguments.
    ("/usr/bin/python3.11", "python3|/srv/report.py|celery|worker|-A|tasks"),
    ("/usr/bin/python3.11", "python3|-c|import time|celery|worker"),
    ("/usr/bin/python3.11", "python3|/usr/bin/celery|-A|tasks|inspect|ping"),
    ("/usr/bin/tail", "tail|-f|/var/log/nginx/error.log"),
    ("/usr/bin/vim.basic", "vim|redis.conf"),
    ("/usr/bin/grep", "grep|postgres"),
    ("/usr/bin/bash", "bash|-c|exec redis-server"),
    // The class is an argument of another, the option is behind it.
    ("/usr/bin/java", "java|-jar|/srv/start.jar|org.apache.catalina.startup.Bootstrap"),
    ("/usr/bin/java", "java|-cp|x|org.example.Main|-Dkafka.logs.dir=/x"),
    ("/usr/bin/java", "java|-jar|/srv/shop.jar"),
    ("/usr/lib/erlang/erts-13.1.5/bin/beam.smp", "beam.smp|--|-root|/x|-progname|erl|--|-noshell|-s|shop"),
    // A title that anybody may choose.
    ("/usr/bin/sleep", "nginx: master process nginx"),
    ("/usr/bin/sleep", "gunicorn: master [a:b]"),
    ("/usr/bin/node", "gunicorn: master [a:b]"),
    // Names that say little without their place.
    ("/usr/bin/master", "master"),
    ("/srv/agent", "agent"),
    ("/opt/shop/httpd", "httpd"),
];

/// A process as a fixture tells it. Its `comm` is the name by which it was started.
fn scene(executable: &str, command: &str) -> Scene {
    let mut words: Vec<&str> = command.split('|').collect();
    let framework = words[0].strip_prefix('@').map(str::to_owned);
    words.drain(..usize::from(framework.is_some()));
    let started_as = words[0].split(' ').next().unwrap_or_default();
    let comm = started_as.rsplit('/').next().unwrap_or_default().to_owned();
    Scene::new()
        .process(1, 0, "/usr/bin/dash", &["sh", "/start.sh"])
        .process(5, 1, executable, &words)
        .with(|p| {
            p.name = comm.into();
            p.frameworks = framework.into_iter().collect();
        })
}

/// Kind and main process of what is recognised.
fn told(scene: &Scene) -> Vec<(&'static str, u32)> {
    let services = recognise(&scene.snapshot);
    let told = services
        .iter()
        .map(|s| (s.kind, s.pids.first().copied().unwrap_or(0)));
    told.collect()
}

#[test]
fn each_kind_is_known_by_a_process_of_it() {
    for &(kind, executable, command) in FIXTURES {
        let entry = find(kind).unwrap_or_else(|| panic!("{kind} is in no file"));
        let mut scene = scene(executable, command);
        if entry.listens {
            scene = scene.tcp("0.0.0.0", entry.default_port.unwrap_or(4000), &[5]);
        }
        let expected = match (entry.layer, entry.listens) {
            // Nothing to tell of but the container's first process.
            (Layer::Supervisor, false) => ("process", 1),
            _ => (kind, 5),
        };
        assert_eq!(told(&scene), [expected], "{executable} {command}");
    }
}

#[test]
fn each_kind_has_a_fixture() {
    for kind in kinds() {
        let is_told_by_its_answers = kind.marks.iter().all(|m| matches!(m, Mark::Product(_)));
        let has_fixture = FIXTURES.iter().any(|fixture| fixture.0 == kind.kind);
        assert!(
            has_fixture || is_told_by_its_answers,
            "{} has none",
            kind.kind
        );
    }
}

#[test]
fn near_misses_are_strangers() {
    for (executable, command) in NEAR_MISSES {
        let silent = scene(executable, command);
        assert_eq!(told(&silent), [("process", 1)], "{command}");
        // Node is Node, whatever it calls itself.
        let kind = if executable.ends_with("node") {
            "node"
        } else {
            "tcp"
        };
        for port in [80, 5432, 6379] {
            let listening = silent.clone().tcp("0.0.0.0", port, &[5]);
            assert_eq!(told(&listening), [(kind, 5)], "{command} on {port}");
        }
    }
}

#[test]
fn every_entry_is_whole() {
    let mut words = BTreeSet::new();
    for kind in kinds() {
        let word = kind.kind;
        assert!(words.insert(word), "{word} stands twice");
        let is_word = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || ".-_".contains(c);
        assert!(!word.is_empty() && word.chars().all(is_word), "{word}");
        assert!(!kind.name.is_empty() && !kind.role.is_empty(), "{word}");
        assert!(kind.role.chars().all(|c| c.is_ascii_lowercase()), "{word}");
        assert!(!kind.marks.is_empty(), "nothing marks {word}");
        if let Some(path) = kind.readiness {
            assert!(path.starts_with('/') && path.is_ascii(), "{word}: {path}");
            assert_eq!(
                kind.probe,
                ProbeKind::Http,
                "{word} is not asked for {path}"
            );
        }
    }
    assert!(words.len() >= 80);
}

#[test]
fn no_mark_is_claimed_twice() {
    let mut marks = Vec::new();
    for kind in kinds() {
        for mark in kind.marks {
            let is_shared = matches!(mark, Mark::Helper(_));
            assert!(
                is_shared || !marks.contains(&mark),
                "{}: {mark:?}",
                kind.kind
            );
            marks.push(mark);
        }
    }
}

#[test]
fn every_mark_is_found_by_its_word() {
    for kind in kinds() {
        for mark in kind.marks {
            let word = match *mark {
                Mark::Executable(path) => crate::program::basename(path),
                Mark::Applet(&(name, _)) | Mark::Task(_, &(name, _)) => name,
                Mark::Runs(_, name) | Mark::Framework(name) | Mark::Helper(name) => name,
                Mark::Given(language, _) | Mark::Title(language, _) => language.name(),
                Mark::Product(_) | Mark::Calls(_) | Mark::VersionAfter(_) => continue,
            };
            assert!(
                bearing(word).any(|(of, its)| of == kind && its == mark),
                "{mark:?}"
            );
        }
    }
    assert_eq!(bearing("no such word").count(), 0);
}

#[test]
fn plain_names() {
    for (name, expected) in [
        ("php-fpm8.2", "php-fpm"),
        ("gunicorn3", "gunicorn"),
        ("mysqld-8.0", "mysqld"),
        (".gunicorn-wrapped", "gunicorn"),
        ("nginx", "nginx"),
        ("7", "7"),
        ("", ""),
    ] {
        assert_eq!(plain(name), expected);
    }
}

#[test]
fn a_product_that_names_itself() {
    let kind =
        |kind, product, version| refined(find(kind).unwrap(), product, version).map(|k| k.kind);
    assert_eq!(
        kind("mysql", None, Some("5.5.5-10.3.39-MariaDB-1")),
        Some("mariadb")
    );
    assert_eq!(kind("mysql", None, Some("8.0.36")), None);
    assert_eq!(kind("redis", Some("valkey"), Some("8.0.1")), Some("valkey"));
    assert_eq!(kind("dotnet", Some("Kestrel"), None), Some("aspnet"));
    // Another server's header may be passed on.
    assert_eq!(kind("haproxy", Some("Kestrel"), None), None);
}

#[test]
fn versions_in_paths() {
    for (kind, path, version) in [
        (
            "postgresql",
            "/usr/lib/postgresql/15/bin/postgres",
            Some("15"),
        ),
        ("postgresql", "/usr/pgsql-16/bin/postgres", Some("16")),
        ("postgresql", "/usr/lib/postgresql/../bin/postgres", None),
        ("postgresql", "/usr/local/bin/postgres", None),
        (
            "node",
            "/root/.nvm/versions/node/v20.11.0/bin/node",
            Some("20.11.0"),
        ),
    ] {
        assert_eq!(find(kind).unwrap().version_in(path), version, "{path}");
    }
}
