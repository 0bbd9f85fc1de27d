//! Files and objects, served over a network.

use super::Mark::{Calls, Executable, Helper};
use super::{Kind, USUAL};
use diogenes_proto::ProbeKind;

/// A file server that speaks FTP.
const FTP: Kind = Kind {
    role: "file",
    probe: ProbeKind::Ftp,
    default_port: Some(21),
    ..USUAL
};

/// A store of objects, over HTTP.
const OBJECTS: Kind = Kind {
    role: "storage",
    ..USUAL
};

pub(super) const KINDS: &[Kind] = &[
    Kind {
        kind: "vsftpd",
        name: "vsftpd",
        marks: &[Executable("vsftpd")],
        ..FTP
    },
    Kind {
        kind: "proftpd",
        name: "ProFTPD",
        marks: &[Executable("proftpd"), Calls("proftpd: ")],
        ..FTP
    },
    Kind {
        kind: "pure-ftpd",
        name: "Pure-FTPd",
        marks: &[Executable("pure-ftpd"), Calls("pure-ftpd ")],
        ..FTP
    },
    Kind {
        kind: "samba",
        name: "Samba",
        marks: &[
            Executable("smbd"),
            Executable("sbin/samba"),
            Helper("samba-bgqd"),
            Helper("samba-dcerpcd"),
            Helper("rpcd_classic"),
            Helper("rpcd_winreg"),
        ],
        probe: ProbeKind::Tcp,
        default_port: Some(445),
        ..FTP
    },
    Kind {
        kind: "nmbd",
        name: "NetBIOS name server",
        // Samba's.
        marks: &[Executable("nmbd")],
        probe: ProbeKind::Tcp,
        default_port: Some(137),
        role: "dns",
        ..FTP
    },
    Kind {
        kind: "nfs",
        name: "NFS",
        // The server itself is in the kernel; Ganesha is not.
        marks: &[Executable("rpc.mountd"), Executable("ganesha.nfsd")],
        probe: ProbeKind::Tcp,
        default_port: Some(2049),
        ..FTP
    },
    Kind {
        kind: "rpcbind",
        name: "rpcbind",
        marks: &[Executable("rpcbind")],
        probe: ProbeKind::Tcp,
        default_port: Some(111),
        ..FTP
    },
    Kind {
        kind: "rsync",
        name: "rsync",
        marks: &[Executable("rsync")],
        // It greets.
        probe: ProbeKind::Discover,
        default_port: Some(873),
        ..FTP
    },
    Kind {
        kind: "tftp",
        name: "TFTP",
        // Debian's tftpd-hpa and atftpd.
        marks: &[Executable("in.tftpd"), Executable("atftpd")],
        probe: ProbeKind::Tcp,
        default_port: Some(69),
        ..FTP
    },
    Kind {
        kind: "minio",
        name: "MinIO",
        marks: &[Executable("minio")],
        default_port: Some(9000),
        // MinIO documentation, "Healthcheck API".
        readiness: Some("/minio/health/live"),
        ..OBJECTS
    },
    Kind {
        kind: "ceph",
        name: "Ceph",
        marks: &[
            Executable("ceph-osd"),
            Executable("ceph-mon"),
            Executable("ceph-mgr"),
            Executable("ceph-mds"),
        ],
        probe: ProbeKind::Tcp,
        ..OBJECTS
    },
    Kind {
        kind: "glusterfs",
        name: "GlusterFS",
        marks: &[Executable("glusterd"), Executable("glusterfsd")],
        probe: ProbeKind::Tcp,
        default_port: Some(24_007),
        ..OBJECTS
    },
    Kind {
        kind: "registry",
        name: "Container registry",
        // The official image: /bin/registry; answers its base path by 200 or 401.
        marks: &[
            Executable("bin/registry"),
            Executable("docker-registry"),
            Executable("zot"),
        ],
        default_port: Some(5000),
        readiness: Some("/v2/"),
        ..OBJECTS
    },
    Kind {
        kind: "syncthing",
        name: "Syncthing",
        marks: &[Executable("syncthing")],
        role: "file",
        default_port: Some(8384),
        // Its documentation, "REST API", Health Endpoint.
        readiness: Some("/rest/noauth/health"),
        ..USUAL
    },
    Kind {
        kind: "nbd",
        name: "NBD server",
        marks: &[Executable("nbd-server")],
        probe: ProbeKind::Tcp,
        default_port: Some(10_809),
        ..OBJECTS
    },
    Kind {
        kind: "git-daemon",
        name: "git daemon",
        // git(1) executes it from its own folder.
        marks: &[Executable("git-core/git-daemon"), Executable("git-daemon")],
        role: "file",
        probe: ProbeKind::Tcp,
        default_port: Some(9418),
        ..USUAL
    },
    Kind {
        kind: "subversion",
        name: "Subversion",
        marks: &[Executable("svnserve")],
        role: "file",
        probe: ProbeKind::Discover,
        default_port: Some(3690),
        ..USUAL
    },
    Kind {
        kind: "aria2",
        name: "aria2",
        marks: &[Executable("aria2c")],
        role: "file",
        default_port: Some(6800),
        ..USUAL
    },
];
