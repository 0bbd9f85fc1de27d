//! Which container a process is in, by the kernel's files about it and about the container's init.

use diogenes_discovery::identity::Standing;

use crate::parts;

/// Whose init the second file is: the container that all inputs are about.
const ID: &str = "a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1";

/// See the module: the process's file, and the init's.
pub fn check(bytes: &[u8]) {
    let files = parts::of(bytes);
    let process = Standing::parse(files[0]);
    let named = process.named();
    assert!(named.len() <= 8);
    for id in &named {
        assert!(id.len() == 64 && id.bytes().all(|byte| byte.is_ascii_hexdigit()));
        assert!(process.names(id));
    }
    let Some(init) = files.get(1).map(|file| Standing::parse(file)) else {
        return;
    };
    if process.is_inside(ID, &init) {
        // What stands below a cgroup has its name in its own path.
        assert!(init.names(ID) && process.names(ID));
    }
    assert!(!process.is_inside("", &init) && !process.is_inside("docker", &init));
}
