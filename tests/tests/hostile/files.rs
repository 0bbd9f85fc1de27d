//! What a companion opens of its container, with something else in its place.

use std::fs;
use std::time::Duration;

use diogenes_testkit::{base_image, wait_until};
use diogenes_tests::{SOON, agent_in, present};

use crate::world::World;

/// Puts FIFOs, devices, huge holes and links where a companion looks, and runs what makes it look there.
const PLANT: &str = r"
import os, signal, socket
os.makedirs('/etc/diogenes')
os.makedirs('/run/diogenes')
os.makedirs('/app')
# Roles.
os.mkfifo('/etc/diogenes/container.json')
# A socket that leads elsewhere, and one that counts who comes.
os.symlink('/proc/1/root/run/docker.sock', '/run/diogenes/api.sock')
trap = socket.socket(socket.AF_UNIX)
trap.bind('/run/diogenes/agent.sock')
trap.listen()
trap.setblocking(False)
# The sources of applications, which are read for what they import.
os.mkfifo('/app/fifo.py')
os.symlink('/dev/zero', '/app/zero.py')
os.symlink('/proc/kmsg', '/app/kmsg.py')
os.mknod('/app/device.py', 0o20666, os.makedev(1, 5))
with open('/app/huge.py', 'w') as huge:
    huge.truncate(1 << 40)
os.mkdir('/app/directory.py')
os.makedirs('/app/deep/' + 'd/' * 100)
for name in ['fifo', 'zero', 'kmsg', 'device', 'huge', 'directory']:
    if os.fork() == 0:
        listener = socket.create_server(('127.0.0.1', 0))
        os.set_inheritable(listener.fileno(), True)
        os.chdir('/app')
        os.execv('/bin/bash', ['/bin/bash', '-c', 'exec -a python3 tail -f /dev/null ' + name + '.py'])
# Logs: held open for writing, as a log is.
os.mkfifo('/var/log/fifo.log')
held = [os.open('/var/log/fifo.log', os.O_RDWR | os.O_APPEND)]
os.mknod('/var/log/device.log', 0o20666, os.makedev(1, 5))
held.append(os.open('/var/log/device.log', os.O_RDWR | os.O_APPEND))
for name, size in [('hole', 1 << 40), ('swapped', 0)]:
    held.append(os.open(f'/var/log/{name}.log', os.O_RDWR | os.O_APPEND | os.O_CREAT))
    os.truncate(held[-1], size)
os.write(held[-1], b'a line of a log\n')
with open('/var/log/endless.log', 'ab') as endless:
    endless.write(b'x' * (8 << 20))
    held.append(os.dup(endless.fileno()))
print('planted', flush=True)
# A descriptor that is another file at each look.
log, fifo = held[3], held[0]
if os.fork() == 0:
    kept = os.dup(log)
    while True:
        os.dup2(fifo, log)
        os.dup2(kept, log)
came = 0
while True:
    try:
        trap.accept()
        print('came', flush=True)
    except BlockingIOError:
        signal.sigtimedwait([], 0.05)
";

#[test]
fn no_file_in_a_container_holds_its_companion_up_or_leads_it_elsewhere() {
    let world = World::new("files");
    let supervisor = world.supervisor();
    let enemy = world
        .container(base_image(), "enemy")
        .args(["python3", "-c", PLANT])
        .run();
    let agent = agent_in(supervisor, &enemy);
    let calm = world.calm();
    wait_until(SOON, "all of it", || {
        enemy.logs().contains("planted").then_some(())
    });
    supervisor.wait_for(enemy.name(), SOON, "what listens", |it| {
        it["processes"].as_u64().unwrap_or_default() >= 8
    });
    for _ in 0..10 {
        let logs = supervisor.words(&["logs", "--tail=50", enemy.name()]);
        assert!(logs.contains("planted"), "{logs}");
        assert!(logs.len() < 1 << 20, "{} bytes", logs.len());
        let answer = supervisor.ask(enemy.name(), "status");
        assert!(!answer.is_empty());
    }
    // What it has open is no device, pipe or host's file, and less than it was given room for.
    for entry in fs::read_dir(format!("/proc/{agent}/fd")).expect("a living companion") {
        let Ok(target) = fs::read_link(entry.expect("an entry").path()) else {
            continue;
        };
        let target = target.display().to_string();
        for planted in ["/app", "/var/log", "/dev", "/run", "/etc"] {
            assert!(!target.starts_with(planted), "it still holds {target}");
        }
    }
    assert!(!enemy.logs().contains("came"), "nobody came to the socket");
    assert_eq!(agent_in(supervisor, &enemy), agent);
    world.is_unharmed(&calm);
}

/// A file system over the control groups: what the kernel tells there, root now tells.
#[test]
fn control_groups_that_are_no_control_groups_hold_nobody_up() {
    const COVER: &str = r"
cd /sys/fs/cgroup/memory || exit
for name in memory.usage_in_bytes memory.stat memory.limit_in_bytes memory.current; do mkfifo $name; done
echo planted; exec sleep 600
";
    let world = World::new("covered");
    let enemy = world
        .container(base_image(), "enemy")
        .option("--tmpfs=/sys/fs/cgroup/memory")
        .args(["sh", "-c", COVER])
        .run();
    present(world.supervisor(), &enemy);
    let calm = world.calm();
    wait_until(SOON, "the FIFOs", || {
        enemy.logs().contains("planted").then_some(())
    });
    // The companion locates what it reads when it comes.
    world.supervisor().words(&["detach", enemy.name()]);
    world.supervisor().words(&["attach", enemy.name()]);
    present(world.supervisor(), &enemy);
    std::thread::sleep(Duration::from_secs(1));
    let answer = world
        .supervisor()
        .cli(&["ask", "--json", enemy.name(), "processes"]);
    let answer = String::from_utf8_lossy(&answer.stdout).into_owned();
    assert!(answer.contains("\"companion\""), "{answer}");
    world.is_unharmed(&calm);
}
