"""Make .venv, once: `python scripts/setup_env.py`. Everything else in the project runs from there.

    python scripts/setup_env.py                              what the notebooks need
    python scripts/setup_env.py --extras notebooks,tests     and what the tests need
    PYTHON=python3.12   another interpreter (3.10 to 3.13)    TORCH=cpu   PyTorch's small CPU build

This file finds an interpreter and says so in one sentence where there is none; `_install.py` does the work
under it. It keeps to syntax that Python 2.7 reads too: an old one gets the sentence, not a SyntaxError.
"""

from __future__ import print_function

import os
import subprocess
import sys

OLDEST, NEWEST = (3, 10), (3, 13)
HERE = os.path.dirname(os.path.abspath(__file__))
HOW = "Install one from python.org or with the packages of your system"


def version_of(command):
    """(3, 12) for a command that runs, None for one that does not: pyenv has shims that only complain."""
    code = "import sys; print('%d.%d' % sys.version_info[:2])"
    try:
        process = subprocess.Popen(command + ["-c", code], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        answer = process.communicate()[0].decode("ascii", "replace").strip()
    except (OSError, ValueError):
        return None
    parts = answer.split(".")
    return (int(parts[0]), int(parts[1])) if process.returncode == 0 and len(parts) == 2 else None


def fits(version):
    return version is not None and OLDEST <= version <= NEWEST


def spelled(version):
    return "%d.%d" % tuple(version)


def stop(sentence):
    sys.stdout.flush()
    print(sentence, file=sys.stderr)
    sys.exit(1)


def find_interpreter(asked):
    """The command of an interpreter that fits: the one asked for, else this one, else the newest on PATH."""
    bounds = "colorlib needs Python %s to %s" % (spelled(OLDEST), spelled(NEWEST))
    if asked:
        version = version_of([asked])
        if version is None:
            stop("PYTHON=%s does not run. %s: give the name or the path of one." % (asked, bounds))
        if not fits(version):
            stop("PYTHON=%s is Python %s; %s. %s." % (asked, spelled(version), bounds, HOW))
        return [asked]
    if fits(sys.version_info[:2]):
        return [sys.executable]
    names = [spelled((3, minor)) for minor in range(NEWEST[1], OLDEST[1] - 1, -1)]
    commands = [["python" + name] for name in names] + [["python3"], ["python"]]
    if os.name == "nt":
        commands = [["py", "-" + name] for name in names] + commands
    for command in commands:
        if fits(version_of(command)):
            return command
    here = spelled(sys.version_info[:2])
    stop(
        "This is Python %s; %s, and none was found. %s, or pass PYTHON=/path/to/python." % (here, bounds, HOW)
    )


def main():
    command = find_interpreter(os.environ.get("PYTHON"))
    if command == [sys.executable]:
        sys.path.insert(0, HERE)
        import _install

        return _install.main(sys.argv[1:])
    return subprocess.call(command + [os.path.join(HERE, "_install.py")] + sys.argv[1:])


if __name__ == "__main__":
    sys.exit(main())
