#!/usr/bin/python3
"""Copies what a small Debian of this machine's own packages needs into a folder: vm_root.py FOLDER PACKAGE...

The named packages with all that they depend on, as this machine has them installed, and the settings in /etc that make a system of
them. No documentation, no translations. Prints the list of packages with versions with --list instead, which tells whether a folder is out of date.
"""
import os
import re
import subprocess
import sys

STATUS = "/var/lib/dpkg/status"
ETC = ("passwd group shadow gshadow nsswitch.conf ld.so.conf ld.so.conf.d alternatives login.defs pam.d security default/useradd hosts localtime "
       "environment profile bash.bashrc skel debian_version shells services protocols ssl/openssl.cnf").split()
LEFT_OUT = re.compile(r"^/usr/share/(doc|man|locale|info|lintian|bug|i18n|icons|pixmaps|help)/|/__pycache__/|^/usr/lib/modules/|^/boot/")


def packages():
    """By name: (version, [[alternatives] of each dependency]); what provides a name; those that all others take for granted."""
    found, provided, essential = {}, {}, []
    with open(STATUS, encoding="utf-8") as f:
        for block in f.read().split("\n\n"):
            fields = dict(re.findall(r"^([\w-]+): ?(.*(?:\n .*)*)", block, re.M))
            if "installed" not in fields.get("Status", "").split()[2:]:
                continue
            name = fields["Package"]
            wants = ", ".join(fields[k] for k in ("Pre-Depends", "Depends") if k in fields)
            found[name] = (fields["Version"], [[re.sub(r"[:(].*|\s.*", "", a.strip()) for a in d.split("|")] for d in wants.split(",") if d.strip()])
            if fields.get("Essential") == "yes":
                essential.append(name)
            for p in fields.get("Provides", "").split(","):
                provided.setdefault(re.sub(r"[:(].*|\s.*", "", p.strip()), name)
    return found, provided, essential


def closure(roots):
    found, provided, essential = packages()
    queue, got = list(roots) + essential, {}
    while queue:
        name = queue.pop()
        name = name if name in found else provided.get(name, name)
        if name in got:
            continue
        if name not in found:
            sys.exit(f"vm_root: package {name} is not installed here")
        version, dependencies = found[name]
        got[name] = version
        for alternatives in dependencies:
            queue.append(next((a for a in alternatives if a in found or a in provided), alternatives[0]))
    return got


def files_of(package):
    for name in (package, package + ":amd64", package + ":" + os.uname().machine):
        path = f"/var/lib/dpkg/info/{name}.list"
        if os.path.exists(path):
            with open(path, encoding="utf-8") as f:
                return f.read().splitlines()
    return []


def alternatives():
    for folder in ("/usr/bin", "/usr/sbin"):
        for e in os.scandir(folder):
            if e.is_symlink() and os.readlink(e.path).startswith("/etc/alternatives/"):
                yield e.path


def copy(paths, root):
    os.makedirs(root)
    for name in ("bin", "sbin", "lib", "lib64"):
        os.makedirs(f"{root}/usr/{name}")
        os.symlink(f"usr/{name}", f"{root}/{name}")
    listing = "\0".join(sorted({p.lstrip("/") for p in paths if os.path.lexists(p)}))
    read = subprocess.Popen(["tar", "-C", "/", "--no-recursion", "--null", "-T", "-", "-cf", "-"], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    write = subprocess.Popen(["tar", "-C", root, "--keep-directory-symlink", "-xpf", "-"], stdin=read.stdout)
    read.stdout.close()
    read.stdin.write(listing.encode())
    read.stdin.close()
    if write.wait() or read.wait():
        sys.exit("vm_root: tar failed")
    for folder in ("proc", "sys", "dev", "run", "tmp", "root", "home", "var/tmp", "var/log", "var/lib", "src", "etc/systemd/system"):
        os.makedirs(f"{root}/{folder}", exist_ok=True)
    os.chmod(f"{root}/tmp", 0o1777)


def under(path):
    yield path
    if os.path.isdir(path) and not os.path.islink(path):
        for folder, folders, names in os.walk(path):
            yield from (os.path.join(folder, n) for n in folders + names)


def main():
    if sys.argv[1] == "--list":
        print("\n".join(f"{n} {v}" for n, v in sorted(closure(sys.argv[2:]).items())))
        return
    root, wanted = sys.argv[1], closure(sys.argv[2:])
    paths = {p for name in wanted for p in files_of(name) if p != "/." and not LEFT_OUT.search(p)}
    paths |= set(alternatives())
    for name in ETC:
        paths |= set(under("/etc/" + name))
    copy(paths, root)
    subprocess.run(["ldconfig", "-r", root], check=True)


if __name__ == "__main__":
    main()
