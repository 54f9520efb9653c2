"""What set-up says of a machine that lacks something: Python and Java are scripts here, alone on PATH."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from cli.diagnosis import JAVA_VERSIONS

pytestmark = pytest.mark.whole
HOUSE = Path(__file__).resolve().parents[2]
TOOLS = ("bash", "cat", "dirname", "env", "grep", "head", "sed", "tr", "uname", "rm")
DEBIAN_13 = 'ID=debian\nVERSION_ID="13"\n'
UBUNTU_24 = 'ID=ubuntu\nID_LIKE=debian\nVERSION_ID="24.04"\n'
UBUNTU_22 = 'ID=ubuntu\nID_LIKE=debian\nVERSION_ID="22.04"\n'
FEDORA = "ID=fedora\nVERSION_ID=43\n"
JAVA = """#!/usr/bin/env bash
case "$1" in
  -version) {version} ;;
  --list-modules) echo {module} ;;
esac
"""
VECTOR = "jdk.incubator.vector@21"


class Machine:
    """A machine with nothing but a shell's tools, until a Python or a Java is put on it."""

    def __init__(self, folder: Path) -> None:
        self.bin = folder / "bin"
        self.bin.mkdir()
        for tool in TOOLS:
            (self.bin / tool).symlink_to(shutil.which(tool) or "")
        self.env = {"PATH": str(self.bin), "HOME": str(folder), "OS_RELEASE": str(folder / "os-release")}
        self.release(DEBIAN_13)

    def release(self, text: str) -> None:
        Path(self.env["OS_RELEASE"]).write_text(text)

    def script(self, path: str, text: str) -> Path:
        file = self.bin / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
        file.chmod(0o755)
        return file

    def python(self, name: str, version: str, *, venv: bool = True, openmp: bool = True) -> Path:
        """A Python that tells ``version``; what it is asked for with ``-c`` and ``-`` runs, but for what it lacks."""
        major, minor = version.split(".")
        lacks = [] if venv else ["ensurepip"]
        start = f"import sys; sys.version_info = ({major}, {minor}, 0, 'final', 0)"
        start += "".join(f"; sys.modules[{name!r}] = None" for name in lacks)
        if not openmp:
            start += "; import ctypes; ctypes.CDLL = lambda name: (_ for _ in ()).throw(OSError(name))"
        return self.script(
            name,
            f"""#!/usr/bin/env bash
start=$(cat <<'END'
{start}
END
)
case $1 in -c) code=$2 ;; *) code=$(cat); shift ;; esac
exec {sys.executable} -S -c "$start
$code" "$@"
""",
        )

    def java(self, *lines: str, module: str = VECTOR, path: str = "java") -> None:
        said = "cat >&2 <<'END'\n" + "\n".join(lines) + "\nEND\n"
        self.script(path, JAVA.format(version=said, module=module))

    def ask(self) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            ["bash", str(HOUSE / ".ci" / "prerequisites")], env=self.env, capture_output=True, text=True, check=False
        )

    def complaint(self) -> str:
        asked = self.ask()
        assert asked.returncode == 2, asked
        assert asked.stdout == ""
        return asked.stderr


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    return Machine(tmp_path)


@pytest.fixture
def well(machine: Machine) -> Machine:
    machine.python("python3.13", "3.13")
    machine.java('openjdk version "21.0.9" 2025-10-21')
    return machine


def test_a_machine_with_all_is_told_which_python_it_is(well: Machine) -> None:
    asked = well.ask()
    assert (asked.returncode, asked.stderr) == (0, "")
    assert asked.stdout.strip() == str(well.bin / "python3.13")


def test_a_bare_machine_hears_all_at_once(machine: Machine) -> None:
    complaint = machine.complaint()
    assert "Python 3.11, 3.12 or 3.13 with venv is needed\n" in complaint
    assert "Java 17, 21 or 25 is needed, none was found\n" in complaint


@pytest.mark.parametrize(
    ("release", "python", "java"),
    [
        (DEBIAN_13, "sudo apt-get install python3 python3-venv\n", "sudo apt-get install default-jre-headless\n"),
        (UBUNTU_24, "sudo apt-get install python3 python3-venv\n", "sudo apt-get install default-jre-headless\n"),
        (UBUNTU_22, "install python3.11 python3.11-venv\n", "sudo apt-get install openjdk-21-jre-headless\n"),
        (FEDORA, "sudo dnf install python3.12\n", "sudo dnf install java-21-openjdk-headless\n"),
        ("", "this system's package manager: python3\n", "this system's package manager: a Java runtime, headless\n"),
    ],
)
def test_hints_name_packages_that_this_system_has(machine: Machine, release: str, python: str, java: str) -> None:
    machine.release(release)
    complaint = machine.complaint()
    assert python in complaint
    assert java in complaint


def test_the_newest_python_that_works_is_taken(well: Machine) -> None:
    well.python("python3.11", "3.11")
    well.python("python3.12", "3.12")
    well.script("python3.13", "#!/usr/bin/env bash\necho 'pyenv: python3.13: command not found' >&2\nexit 127\n")
    assert well.ask().stdout.strip() == str(well.bin / "python3.12")
    well.python("python3.12", "3.12", venv=False)
    assert well.ask().stdout.strip() == str(well.bin / "python3.11")


@pytest.mark.parametrize("version", ["3.10", "3.14"])
def test_a_python_out_of_range_is_refused(well: Machine, version: str) -> None:
    well.env["PYTHON"] = str(well.python("another", version))
    complaint = well.complaint()
    assert f"another is {version}\n" in complaint
    assert "Java" not in complaint


def test_the_python_that_is_asked_for_must_be_one(well: Machine) -> None:
    well.env["PYTHON"] = "nonsense"
    assert "with venv is needed; nonsense is not one\n" in well.complaint()
    well.env["PYTHON"] = str(well.python("another", "3.12"))
    assert well.ask().stdout.strip() == str(well.bin / "another")


@pytest.mark.parametrize("version", ["8", "11", "16", "17", "18", "20", "21", "22", "24", "25", "26"])
def test_java_versions_are_those_that_doctor_takes(well: Machine, version: str) -> None:
    told = "1.8.0_292" if version == "8" else f"{version}.0.1" if version != "26" else "26-ea"
    well.java("Picked up JAVA_TOOL_OPTIONS: -Dsome=thing", f'openjdk version "{told}" 2025-10-21', "OpenJDK Runtime")
    asked = well.ask()
    assert (asked.returncode == 0) == (version in JAVA_VERSIONS)
    if version not in JAVA_VERSIONS:
        assert f"Java 17, 21 or 25 is needed, this is {version}\n" in asked.stderr
        assert "default-jre-headless (or point JAVA_HOME at one)" in asked.stderr


@pytest.mark.parametrize(
    ("lines", "words"),
    [
        (("Unrecognized option: --x", "Error: Could not create the Java Virtual Machine."), "Unrecognized option: --x"),
        (
            ("The operation couldn't be completed. Unable to locate a Java Runtime.",),
            "Unable to locate a Java Runtime.",
        ),
        (('version "unknown"',), 'version "unknown"'),
        (("",), "it says nothing"),
    ],
)
def test_a_java_that_tells_no_version_is_quoted(well: Machine, lines: tuple[str, ...], words: str) -> None:
    well.java(*lines)
    complaint = well.complaint()
    assert "java tells no version: " in complaint
    assert words in complaint


def test_java_home_comes_first_and_is_named_when_empty(well: Machine) -> None:
    well.env["JAVA_HOME"] = str(well.bin / "home")
    assert f"none was found in JAVA_HOME={well.bin / 'home'}\n" in well.complaint()
    well.java('java version "11.0.2" 2019-01-15 LTS', path="home/bin/java")
    assert "this is 11\n" in well.complaint()


def test_a_java_without_the_vector_module_is_refused(well: Machine) -> None:
    well.java('openjdk version "25" 2025-09-16', module="java.base@25")
    assert "lacks the module jdk.incubator.vector" in well.complaint()


@pytest.mark.parametrize(
    ("system", "what", "remedy"),
    [
        ("Linux", "libgomp is needed, which LightGBM loads\n", "sudo apt-get install libgomp1\n"),
        ("Darwin", "libomp is needed, which LightGBM loads\n", "brew install libomp\n"),
    ],
)
def test_openmp_is_asked_for_where_it_does_not_load(well: Machine, system: str, what: str, remedy: str) -> None:
    well.python("python3.13", "3.13", openmp=False)
    (well.bin / "uname").unlink()
    well.script("uname", f"#!/usr/bin/env bash\necho {system}\n")
    complaint = well.complaint()
    assert what in complaint
    assert remedy in complaint


def test_macos_installs_by_brew(machine: Machine) -> None:
    (machine.bin / "uname").unlink()
    machine.script("uname", "#!/usr/bin/env bash\necho Darwin\n")
    complaint = machine.complaint()
    assert "brew install python@3.13\n" in complaint
    assert "brew install openjdk@21 && sudo ln -sfn" in complaint


def test_one_range_of_pythons_everywhere() -> None:
    declared = tomllib.loads((HOUSE / "pyproject.toml").read_text(encoding="utf-8"))["project"]["requires-python"]
    first, end = map(int, re.findall(r"3\.(\d+)", declared))
    versions = [f"3.{minor}" for minor in range(first, end)]
    pythons = (HOUSE / ".ci" / "pythons").read_text(encoding="utf-8")
    assert f"for version in {' '.join(reversed(versions))};" in pythons
    for script in ("prerequisites", "environment"):
        assert f"{'|'.join(versions)})" in (HOUSE / ".ci" / script).read_text(encoding="utf-8")
    assert f"Python {versions[0]} to {versions[-1]}" in (HOUSE / "README.md").read_text(encoding="utf-8")
    assert f"Java {', '.join(sorted(JAVA_VERSIONS)[:-1])} or {max(JAVA_VERSIONS)}" in (HOUSE / "README.md").read_text(
        encoding="utf-8"
    )


def test_an_environment_whose_python_has_gone_or_is_another_is_made_again(well: Machine, tmp_path: Path) -> None:
    """The script is stopped right after it made the environment: pip is a script here, which fails with a mark."""
    fails = """#!/usr/bin/env bash
if [ "$1" = -m ] && [ "$2" = venv ]; then mkdir -p "$3/bin"; cp "$0" "$3/bin/python"; exit 0; fi
if [ "$1" = -m ]; then exit 7; fi
"""
    for tool in ("mkdir", "cp"):
        (well.bin / tool).symlink_to(shutil.which(tool) or "")
    for name, version in (("python3.13", "3.13"), ("python3.12", "3.12")):
        made = well.python(name, version)
        made.write_text(fails + made.read_text().split("\n", 1)[1])
    folder = tmp_path / "environment"

    def make(**env: str) -> str:
        done = subprocess.run(
            ["bash", str(HOUSE / ".ci" / "environment"), str(folder), "requirements.lock"],
            env={**well.env, **env},
            cwd=HOUSE,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 7, done  # pip, and nothing before it
        return done.stdout

    assert make() == "environment: pinned packages, by hash, for Python 3.13\n"
    (well.bin / "python3.13").unlink()
    assert "for Python 3.13" in make()  # stays usable, though the newest on PATH is another
    assert f"{folder} is made again: it is of Python 3.13, and 3.12 is asked for" in make(PYTHON="python3.12")
    assert "made again" not in make(PYTHON="python3.12")
    (folder / "bin" / "python").unlink()
    (folder / "bin" / "python").symlink_to(tmp_path / "gone")
    assert f"{folder} is made again: its Python is gone" in make()
    shutil.copy(well.python("old", "3.10"), folder / "bin" / "python")
    assert f"{folder} is made again: it is of Python 3.10" in make()
